"""The help: verbs by moment, each with an example that its options allow."""

import typer
from typer.main import get_command

from efficiency_bench.cli import EXAMPLES, FIRST_COMMANDS, app


def leaves(group, words=()):
    """Yield (words, command) of every verb, verbs of a group included."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*words, name))
        else:
            yield (*words, name), command


VERBS = {" ".join(words): command for words, command in leaves(get_command(app))}


def test_every_verb_has_an_example_and_every_example_a_verb():
    assert set(EXAMPLES) == set(VERBS)


def test_the_help_of_a_verb_begins_with_its_example():
    for name, command in VERBS.items():
        assert command.help.startswith(f"efficiency-bench {EXAMPLES[name]}\n\n"), name
        assert EXAMPLES[name].startswith(name)
        assert not command.hidden


def test_the_options_of_an_example_exist():
    for name, command in VERBS.items():
        known = {word for option in command.params for word in option.opts}
        words = EXAMPLES[name].removeprefix(name).split()
        assert {word for word in words if word.startswith("--")} <= known, name
        required = [p.opts[0] for p in command.params if p.required and p.opts[0].startswith("--")]
        assert set(required) <= set(words), name


def test_verbs_are_grouped_by_moment():
    registered = [*app.registered_commands, *app.registered_groups]
    panels = {info.rich_help_panel for info in registered}
    assert panels == {"Measure", "Look at results", "Check", "Plan"}


def test_without_a_verb_three_commands_are_printed(typed):
    result = typed()
    assert result.returncode == 2
    assert result.stdout == f"{FIRST_COMMANDS}\n"
    lines = FIRST_COMMANDS.splitlines()[:3]
    assert [line.split()[1] for line in lines] == ["train", "report", "fit"]
    assert "--help" in result.stdout
    assert "efficiency-bench doctor" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_help_of_all_verbs_names_each(typed):
    printed = typed("--help").stdout
    for info in app.registered_commands:
        name = info.name or typer.main.get_command_name(info.callback.__name__)
        assert f" {name} " in printed
