"""Untrusted commands and entries: nothing in them is executed, resolved or followed."""

import json
import pickle
import shlex

import pytest

from efficiency_bench import config, hydra_app
from efficiency_bench.config import measured_part
from efficiency_bench.errors import UserError
from efficiency_bench.ledger import store
from efficiency_bench.report.page.repeat_command import repeat_command
from efficiency_bench.reproducibility import rerun
from tests.cli.users import refused
from tests.commands import command
from tests.ledger.factory import make_entry
from tests.tiny import TINY, composed

SECRET = "s3cr3t-of-this-machine"
RUN = ("experiment=resnet18", *TINY, "recipe.epochs=0.3", "target.value=1.0")
QUIET = ("tracking.wandb=false",)
TOUCH = "{_target_:logging.FileHandler,filename:executed}"
PROGRAMS = [
    f"+hydra.callbacks.x={TOUCH}",
    f"++hydra.callbacks.x={TOUCH}",
    f"+hydra={{callbacks:{{x:{TOUCH}}}}}",
    f"hydra.callbacks={{x:{TOUCH}}}",
    "hydra.job_logging={version:1,handlers:{x:{class:logging.FileHandler,filename:executed}}}",
    "hydra.hydra_logging={version:1,handlers:{x:{class:logging.FileHandler,filename:executed}}}",
    "+hydra.job.env_set.PATH=/nowhere",
    "hydra.launcher._target_=logging.FileHandler",
    "hydra/callbacks=x",
    "+data@hydra.callbacks.x=digits",
    "hydra.sweeper._target_=logging.FileHandler",
]


def plain(*settings):
    return measured_part(composed("experiment=resnet18", "data=digits", "device=cpu", *settings))


def with_text(settings, key, text):
    """Return the configuration with ``text`` at a dotted key."""
    *groups, name = key.split(".")
    changed = json.loads(json.dumps(settings))
    below = changed
    for group in groups:
        below = below[group]
    below[name] = text
    return changed


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("sweep", [(), ("-m",)])
def test_train_starts_no_program_named_in_an_argument(program, sweep, tmp_path):
    done = command("train", *sweep, *RUN, *QUIET, program, cwd=tmp_path)
    refused(done, "is not allowed", "leave it out")
    assert not list(tmp_path.iterdir())


def test_hydras_settings_can_be_shown_and_those_of_a_launcher_set(tmp_path):
    slurm = ("hydra/launcher=slurm", "+hydra.launcher.additional_parameters.gres-flags=none")
    show = ("--cfg", "hydra", "--package", "hydra.launcher")
    done = command("train", *RUN, *slurm, *show, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "gres-flags: none" in done.stdout


@pytest.mark.parametrize("flag", ["--experimental-rerun", "--exp"])
def test_train_unpickles_no_configuration(flag, tmp_path):
    class Program:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    (tmp_path / "config.pickle").write_bytes(pickle.dumps(Program()))
    for given in ((flag, "config.pickle"), (f"{flag}=config.pickle",)):
        refused(command("train", *given, cwd=tmp_path), "unpickles")
    assert not (tmp_path / "executed").exists()


RESOLVERS = [
    "${oc.env:SECRET}",
    "${oc.env:NO_SUCH,${oc.env:SECRET}}",
    "x${oc.decode:${oc.env:SECRET}}",
    "\\${oc.env:SECRET}",
    "${hydra:runtime.cwd}",
    "${now:%Y}",
    "${oc.select:seed}",
]


@pytest.mark.parametrize("text", RESOLVERS)
@pytest.mark.parametrize("key", ["recipe.citation", "run_dir", "+model.arguments.x", "experiment"])
def test_train_resolves_no_machine_data_into_a_setting(text, key, tmp_path):
    for run in ((), ("-m", "seed=0,1")):
        typed = ("train", *run, *RUN, *QUIET, f"{key}='{text}'")
        done = command(*typed, cwd=tmp_path, SECRET=SECRET)
        refused(done, "is not allowed", "resolvers")
        assert SECRET not in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


def test_a_config_file_resolves_no_machine_data(tmp_path):
    (tmp_path / "own" / "recipe").mkdir(parents=True)
    recipe = "defaults: [small_plain, _self_]\ncitation: ${oc.env:SECRET}\n"
    (tmp_path / "own" / "recipe" / "theirs.yaml").write_text(recipe)
    typed = ("train", *RUN, *QUIET, "recipe=theirs", "--config-dir=own")
    done = command(*typed, cwd=tmp_path, SECRET=SECRET)
    refused(done, "recipe.citation=", "resolvers")
    assert SECRET not in done.stdout + done.stderr


def test_a_reference_assembled_from_parts_is_not_resolved(monkeypatch):
    """After one round of resolution, it would look like a resolver."""
    monkeypatch.setenv("SECRET", SECRET)
    parts = ("data.root='$'", "recipe.citation='${data.root}{oc.env:SECRET}'")
    with pytest.raises(UserError) as mistake:
        hydra_app.compose([*RUN, *parts])
    assert "nothing of it was resolved" in str(mistake.value)
    assert SECRET not in str(mistake.value)


def test_a_reference_to_another_key_is_resolved():
    (job,) = hydra_app.compose([*RUN, "seed=3", "run_dir='in/${experiment}-${seed}'"])
    assert job.config.run_dir == "in/resnet18-3"
    assert job.config.recipe.augmentation.crop_pad_px == job.config.data.crop_pad_px


TEXT_KEYS = [
    "recipe.citation",
    "model.name",
    "recipe.optimizer.lr",
    "model.arguments.x",
    "experiment",
]


@pytest.mark.parametrize("key", TEXT_KEYS)
@pytest.mark.parametrize("text", ["${oc.env:SECRET}", "${seed}", "$${x}"])
def test_a_stored_configuration_is_never_resolved(key, text, monkeypatch):
    monkeypatch.setenv("SECRET", SECRET)
    with pytest.raises(UserError) as mistake:
        config.from_plain(with_text(plain(), key, text))
    assert f"{key}={text!r}" in str(mistake.value)
    assert SECRET not in str(mistake.value)


@pytest.mark.parametrize("key", TEXT_KEYS)
def test_verify_and_reproduce_reject_an_entry_with_a_reference(key, tmp_path):
    settings = with_text(plain(), key, "${oc.env:SECRET}")
    ledger = tmp_path / "ledger"
    store.append(ledger, make_entry(run_id="theirs", config=settings))
    for tier in ("imported", "published"):
        store.append(ledger, make_entry(run_id=tier, tier="imported", config=settings))
    done = command("verify", "--ledger", "ledger", "--json", cwd=tmp_path, SECRET=SECRET)
    assert done.returncode == 1
    for row in json.loads(done.stdout):
        named = [f for f in row["failures"] if f["rule"] == f"plain text: config.{key}"]
        assert [f["found"] for f in named] == ["${oc.env:SECRET}"]
    again = command("reproduce", "theirs", "--ledger", "ledger", cwd=tmp_path, SECRET=SECRET)
    refused(again, "nothing of it was resolved", key)
    assert SECRET not in done.stdout + done.stderr + again.stdout + again.stderr


def test_a_path_in_an_entry_is_not_opened(tmp_path):
    settings = plain()
    settings["data"] |= {"root": str(tmp_path), "download": False, "workers": 99}
    settings |= {"run_dir": str(tmp_path / "a"), "ledger_dir": str(tmp_path / "b")}
    placed = rerun._placed(make_entry(config=settings), None, tmp_path / "own")
    assert placed.data.root is None
    assert placed.data.workers == composed("experiment=resnet18").data.workers
    assert {placed.run_dir, placed.ledger_dir} == {
        str(tmp_path / "own" / "run"),
        str(tmp_path / "own" / "ledger"),
    }


HOSTILE = {
    "hydra": {"callbacks": {"x": {"_target_": "os.system"}}},
    "hydra.callbacks.x": {"_target_": "os.system"},
    "--config-dir": "/tmp",
    "run_dir": "/home/them",
    "ledger_dir": "/home/them",
    "tracking": {"project": "theirs"},
    "price_usd_per_hour": 1,
}


def test_a_repeat_command_has_only_keys_of_the_schema():
    honest = plain("seed=7")
    settings = {**HOSTILE, **honest}
    settings["data"] = {**honest["data"], "root": "/etc", "hydra.x": 1, "download": False}
    settings["recipe"] = {**honest["recipe"], "_target_": "os.system"}
    settings["model"] = {**honest["model"], "arguments": {"a b},hydra": 1, "_x}": {"y:": 1}}}
    entry = make_entry(config=settings)
    assert repeat_command(entry, "l") == repeat_command(make_entry(config=honest), "l")
    assert "seed=7" in repeat_command(entry, "l")


def test_nested_tables_have_only_plain_names():
    settings = plain()
    settings["model"]["arguments"] = {"a": {"b}": 1, "c": [{"d:e": 2, "f": 3}]}}
    assert "++model.arguments={a:{c:[{f:3}]}}" in shlex.split(
        repeat_command(make_entry(config=settings), "l")
    )


@pytest.mark.parametrize(
    "text", ["${oc.env:SECRET}", "a\x1b[201~; touch executed", "a\nb", "\u202e"]
)
@pytest.mark.parametrize("key", ["model.name", "recipe.optimizer.name", "experiment", "precision"])
def test_a_value_with_override_syntax_gets_no_command(key, text):
    assert repeat_command(make_entry(config=with_text(plain(), key, text)), "l") is None


@pytest.mark.parametrize("lacking", ["form", "model", "recipe", "data", "seed", "target"])
def test_an_entry_with_a_missing_part_raises_no_exception(lacking):
    settings = plain()
    del settings[lacking]
    made = repeat_command(make_entry(config=settings), "l")
    assert (made is None) == (lacking in ("form", "model", "recipe", "data"))


def test_a_budgeted_run_is_repeated_as_budgeted():
    settings = plain("estimand=budgeted", "target.value=0.5")
    assert "estimand=budgeted" in repeat_command(make_entry(config=settings), "l")


def test_a_backslash_round_trips():
    for text in (r"a\b c", "a\\", "it's", r"a\'b"):
        settings = with_text(plain(), "experiment", text)
        typed = shlex.split(repeat_command(make_entry(config=settings), "l"))[2:]
        (word,) = [word for word in typed if word.startswith("experiment=")]
        assert (
            composed(
                *RUN[1:], "model=resnet18", "recipe=small_plain", f"run_dir={word[11:]}"
            ).run_dir
            == text
        )
