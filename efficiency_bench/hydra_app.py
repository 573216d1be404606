"""Compose configurations and sweeps with Hydra, and turn its errors into one readable message.

No other module imports Hydra; this one hands on plain values only.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from efficiency_bench import config as configuration
from efficiency_bench import config_messages
from efficiency_bench.config import FOLDER_FORM_FROM_PX, FREE_TABLES, RunConfig
from efficiency_bench.errors import UserError, unknown
from efficiency_bench.identity import FOLDER
from efficiency_bench.tuned_rates import with_rate

# The schema of configs/train.yaml: only the keys of RunConfig can be overridden.
ConfigStore.instance().store(name="schema", node=RunConfig)


LAUNCHER_SETTING = re.compile(r"~hydra[./]launcher\b|\+{0,2}hydra[./]launcher\b[^=]*=")
OWN_FILES = re.compile(r"\+{0,2}hydra\.searchpath=|--config-dir=")
CONFIG_DIR = ("--config-dir", "-cd")
"""As an argument of its own, followed by the folder."""

OWN_SETTINGS = re.compile(
    r"hydra/launcher|hydra\.(launcher|run|sweep|searchpath|mode|verbose)(\.[\w.-]+)?"
)
"""The settings of Hydra itself that may be changed.  Its other settings (callbacks, loggers, the
job's environment) can name programs that Hydra would start."""

SHOWING = ("--cfg", "-c", "--info", "-i")
MULTIRUN = ("-m", "--multirun", "hydra.mode=MULTIRUN")


@dataclass(frozen=True)
class Composed:
    """One job of a command line: its configuration and the overrides that produced it."""

    config: RunConfig
    overrides: tuple[str, ...]


def compose(arguments: Sequence[str]) -> list[Composed]:
    """Return every job that ``arguments`` (Hydra's command line) describe, without running any.

    For ``data=folder``, ``data.image_px`` selects the form.  The list is empty if Hydra only prints
    something (``--cfg job``).  Raises UserError for any mistake on the command line; in a sweep,
    for the first job with one.
    """
    arguments = _with_form_of_folder(arguments)
    check_arguments(arguments)
    sweeping = is_sweep(arguments)
    jobs: list[Composed] = []
    refused: list[UserError] = []

    def task(composed: DictConfig) -> None:
        typed = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        assert isinstance(typed, list)
        try:
            overrides = tuple(map(str, typed))
            _check_overridden(overrides, composed)
            jobs.append(Composed(with_rate(configuration.load(composed)), overrides))
        except UserError as error:  # if raised here, Hydra would print its own lines
            number = len(jobs) + len(refused) + 1
            place = f"run {number}, so none was started: " if sweeping else ""
            refused.append(UserError(f"{place}{error}"))

    if sweeping:
        if any(text.partition("=")[0] in SHOWING for text in arguments):
            raise UserError("--cfg and --info show the settings of a single run: leave -m out")
        here = [text for text in arguments if not LAUNCHER_SETTING.match(text)]
        with tempfile.TemporaryDirectory() as aside:  # the sweeper writes its config there
            _main("train", _with_override(here, f"hydra.sweep.dir={aside}"), task)
    else:
        _main("train", arguments, task)
    if refused:
        raise refused[0]
    return jobs


SETS = {
    "budget": ("recipe.epochs", "estimand"),
    "rates": ("recipe.optimizer.lr",),
}
"""Key -> the keys that it sets, which cannot be set by hand as well."""


def _check_overridden(overrides: Sequence[str], composed: DictConfig) -> None:
    """Raise UserError for a key that another one sets: one of the two would go unnoticed."""
    typed = dict(text.lstrip("+").split("=", 1) for text in overrides if "=" in text)
    for key, sets in SETS.items():
        for name in sets:
            if composed[key] is not None and name in typed:
                raise UserError(
                    f"{name}={typed[name]} cannot be used with {key}={composed[key]}, which sets"
                    f" it; leave one of the two out"
                )


def _with_override(arguments: Sequence[str], override: str) -> list[str]:
    """Insert ``override`` after the last one: Hydra's parser needs them consecutive."""
    last = max((i for i, a in enumerate(arguments) if "=" in a and a[0] != "-"), default=-1)
    return [*arguments[: last + 1], override, *arguments[last + 1 :]]


def _with_form_of_folder(arguments: Sequence[str]) -> Sequence[str]:
    """Add ``form=small`` if the images of ``data=folder`` are too small for the ImageNet form.

    Raises UserError for a sweep over sides that need both forms.
    """
    given = dict(text.split("=", 1) for text in arguments if "=" in text and text[0] != "-")
    sides = given.get("data.image_px", "")
    if (
        given.get("data") != FOLDER
        or "form" in given
        or not re.fullmatch(r"\d{1,9}(,\d{1,9})*", sides)
    ):
        return arguments
    small = {int(side) < FOLDER_FORM_FROM_PX for side in sides.split(",")}
    if len(small) > 1:
        raise UserError(
            f"data.image_px={sides}: sides under {FOLDER_FORM_FROM_PX} px need the models' small"
            " form, the others the ImageNet form;\nrun two sweeps, or name one form: form=small"
        )
    return _with_override(arguments, "form=small") if small == {True} else arguments


def is_sweep(arguments: Sequence[str]) -> bool:
    """Return whether ``arguments`` ask for a sweep."""
    return any(flag in arguments for flag in MULTIRUN)


@dataclass(frozen=True)
class Launcher:
    """A Hydra launcher that starts the runs of a sweep elsewhere."""

    plugin: str
    """Dotted name of its class."""
    arguments: tuple[str, ...]
    """The arguments that select it and its settings."""

    @property
    def on_slurm(self) -> bool:
        """Whether it submits jobs to Slurm."""
        return self.plugin.endswith(".SlurmLauncher")


def launcher(arguments: Sequence[str]) -> Launcher | None:
    """Return the launcher that ``arguments`` select; None: train in this process.

    Raises UserError for a launcher that is unknown, not installed or misconfigured.
    """
    check_arguments(arguments)
    if not any(LAUNCHER_SETTING.match(text) for text in arguments):
        return None
    kept = _for_launcher(arguments)
    found: list[str] = []
    # `sweep` and `number` are placeholders: only the launcher settings matter
    _main("sweep_job", [*kept, "sweep=-", "number=0"], lambda _: found.append(_launcher_class()))
    return None if found[0].endswith(".BasicLauncher") else Launcher(found[0], kept)


def check_arguments(arguments: Sequence[str]) -> None:
    """Raise UserError, naming the argument, for anything that Hydra would execute or read here.

    A command may be pasted from an untrusted page.
    """
    for text in arguments:
        if text.startswith("--e"):  # argparse accepts prefixes: --experimental-rerun
            raise UserError(
                f"{text!r} is not allowed: it unpickles a file, which can run code; leave it out"
            )
    if (invalid := config_messages.invalid_option(arguments)) is not None:
        raise UserError(invalid)
    for text in arguments:
        key, equal, _ = text.lstrip("+~").partition("=")
        ours = OWN_SETTINGS.fullmatch(key) and "_target_" not in text
        if equal and "hydra" in re.split(r"[./@]", key) and not ours:
            raise UserError(
                f"{text!r} is not allowed: the only Hydra settings allowed are hydra/launcher,"
                " hydra.launcher.KEY, hydra.run,\nhydra.sweep, hydra.searchpath, hydra.mode and"
                " hydra.verbose, and no _target_, since Hydra would run it; leave it out"
            )
        configuration.check_references(text)


def _for_launcher(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments that select the launcher, set it, or locate its files."""
    kept = [text for text in arguments if LAUNCHER_SETTING.match(text) or OWN_FILES.match(text)]
    for flag, folder in itertools.pairwise(arguments):
        kept += [f"--config-dir={folder}"] if flag in CONFIG_DIR else []
    return tuple(kept)


def _launcher_class() -> str:
    return str(HydraConfig.get().launcher._target_)


@dataclass(frozen=True)
class SweepJob:
    """Hydra's task for one run of a sweep; at module level, so that a launcher can pickle it."""

    work: Callable[[Path, int], None]

    def __call__(self, composed: DictConfig) -> None:
        """Call ``work`` for the run that ``configs/sweep_job.yaml`` names."""
        self.work(Path(composed.sweep), int(composed.number))


def submit(
    launcher: Launcher, folder: Path, numbers: Sequence[int], work: Callable[[Path, int], None]
) -> None:
    """Have ``launcher`` call ``work(folder, number)`` for each number, and wait until it returns.

    ``work`` is a module-level function, which the job imports.  Exceptions of the launcher (a job
    that died, a cluster that rejects the job) are not caught.
    """
    jobs = (f"sweep={folder}", f"number={','.join(map(str, numbers))}")
    places = (f"hydra.sweep.dir={folder}", f"hydra.job.name={folder.name}")
    _main("sweep_job", ["-m", *launcher.arguments, *jobs, *places], SweepJob(work))


def _main(config_name: str, arguments: Sequence[str], task: Callable[[DictConfig], None]) -> None:
    """Run Hydra's main with ``arguments``; its errors become UserErrors."""
    # Hydra would print a trimmed traceback and exit 1; this makes it raise instead.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    main = hydra.main(
        version_base="1.3", config_path="pkg://efficiency_bench.configs", config_name=config_name
    )(task)
    arguments_before = sys.argv
    sys.argv = ["efficiency-bench train", *arguments]
    try:
        main()
    except OverrideParseException as error:
        raise UserError(unreadable(str(error.override), is_sweep(arguments))) from error
    except InterpolationResolutionError as error:
        raise UserError(config_messages.dangling(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(one_message(error, arguments)) from error
    except ValueError as error:
        if "Only one of" in str(error):
            raise UserError("--cfg and --info cannot be combined; leave one of them out") from error
        if "Config group override must be" not in str(error):
            raise
        raise UserError(config_messages.no_file_name(arguments)) from error
    except yaml.YAMLError as error:
        raise UserError(
            f"a configuration file is not valid YAML: {' '.join(str(error).split())};\n"
            "correct the line that it names"
        ) from error
    finally:
        sys.argv = arguments_before


def one_message(error: Exception, arguments: Sequence[str]) -> str:
    """Return Hydra's error in one or two lines: what is wrong, the known choices, what to type."""
    whole = str(error)
    lines = [line.strip() for line in whole.splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    if re.search(r"Could not (find|load) 'hydra/launcher/submitit_", whole):
        return (
            "this launcher needs submitit, which is not installed: make env, or\n"
            "pip install 'efficiency-bench[cluster]'; without -m and launcher a run trains here"
        )
    if text.startswith("You must specify"):
        return _nothing_to_train(arguments)
    if text.startswith("Ambiguous value") or "requires --multirun" in text:
        several = re.search(r"'(.*)'", text)
        return f"{several[1] if several else text} has several values, which is a sweep: add -m"
    if text.startswith("force-add of config groups"):
        return f"{text.partition(': ')[2]}: this is the name of a file; leave out the plus signs"
    if "Available options" in whole:
        start = next(i for i, line in enumerate(lines) if line.startswith("Available options"))
        options = itertools.takewhile(lambda line: " " not in line, lines[start + 1 :])
        if file := re.search(r"Could not find '(.+)/([^/']*)'", text):
            return str(unknown(file[1], file[2], options))
        return f"{_without_parent(text)}; known: {', '.join(options)}"
    if text.startswith("Additional config directory"):
        return f"{text}; --config-dir=DIR names a folder with configuration files of your own"
    if "not in struct" in whole or "Could not override" in whole:
        key = re.search(r"'([^']*)'", text)
        name = key.group(1) if key else text
        if not name:
            return "an argument has no key; type KEY=VALUE, for example seed=1"
        if name.startswith(FREE_TABLES):
            return (
                f"{name!r} is not set yet: a new name under {' or '.join(FREE_TABLES)} takes a plus"
                " sign, as in +model.arguments.NAME=VALUE"
            )
        near = config_messages.did_you_mean(name, RunConfig)
        return f"unknown key {name!r}{near}; {_known_keys(name)}"
    merging = re.match(r"Error merging override \+*([\w.]+)=(.*)", text)
    if merging and (rule := config_messages.must_be(RunConfig, merging[1])):
        return f"{merging[1]}={merging[2]} is not allowed: {rule}"
    if error.__cause__ is not None:
        cause = str(error.__cause__).splitlines()[0]
        return f"{text.replace('Error merging override', 'wrong value')}: {cause}"
    return text


def unreadable(text: str, sweeping: bool) -> str:
    """Return the message for an argument that Hydra cannot parse, with what to type instead."""
    typed = re.fullmatch(r"([+~]*[A-Za-z_][\w./@$-]*)=(.*)", text, re.ASCII | re.DOTALL)
    if typed is None:
        key, equal, _ = text.partition("=")
        if equal and key.lstrip("+~"):
            return f"unknown key {key!r}; {_known_keys(key)}"
        return config_messages.no_setting(text, RunConfig)
    key, value = typed.groups()
    if not value.isprintable():
        return f"{text!r} cannot be read: it holds a control character; type the value without it"
    odd = " ".join(dict.fromkeys(re.sub(r"[\w/\\+.$%*@?|:,-]", "", value, flags=re.ASCII)))
    rule = config_messages.must_be(RunConfig, key.lstrip("+~"))
    if rule is not None and "must be text" not in rule:
        bracket = ", a bracket does not close" if value.startswith(("[", "{")) else ""
        several = "; several are separated by single commas" if sweeping else ""
        return f"{text!r} cannot be read{bracket}: {rule}{several}"
    values = value.split(",") if sweeping else [value]
    fixed = f"{key}={','.join(map(_quoted, values))}"
    try:
        OverridesParser.create().parse_override(fixed)
    except HydraException:
        return f"{text!r} cannot be read{f': it holds {odd}' if odd else ''}; give it another value"
    why = f"a value with {odd or value} in it must be in quotes"
    if value.startswith("~"):
        why = "~ is not expanded here"
    return f"{text!r} cannot be read: {why}\ntype: {shlex.quote(fixed)}"


def _quoted(value: str) -> str:
    """Quote a value for Hydra if it needs quotes; a lone quote at its start is dropped."""
    if value.startswith("~"):
        with contextlib.suppress(RuntimeError):  # no such user
            value = str(Path(value).expanduser())
    if re.fullmatch(r"[A-Za-z_/.][\w/.-]*", value, re.ASCII):
        return value
    return config_messages.quoted(re.sub(r"^(['\"])(?!.*\1$)", "", value))


def _nothing_to_train(arguments: Sequence[str]) -> str:
    suites = [text for text in arguments if text.startswith("suite=")]
    if suites:
        return f"{suites[0]} is a sweep of several runs: add -m"
    return (
        "nothing to train: name a publication with experiment=NAME (efficiency-bench models lists"
        " the names),\nor combine model=NAME recipe=NAME; several runs are -m suite=NAME"
    )


def _without_parent(text: str) -> str:
    return re.sub(r"^In '[^']*': ", "", text)


def _known_keys(name: str) -> str:
    """List the keys at the level of ``name`` in RunConfig, or say where a launcher's are listed."""
    if name.startswith("hydra.launcher"):
        return (
            "to see them all: efficiency-bench train experiment=alexnet hydra/launcher=NAME"
            " --cfg hydra --package hydra.launcher\n"
            "options of sbatch beyond them: +hydra.launcher.additional_parameters.OPTION=VALUE"
        )
    kind: object = RunConfig()
    for part in name.split(".")[:-1]:
        kind = getattr(kind, part, None)
    fields = getattr(kind, "__dataclass_fields__", RunConfig.__dataclass_fields__)
    return f"known: {', '.join(sorted(fields))}"
