"""Hydra's side of the door: compose, sweep, and turn Hydra's errors into one readable message.

Hydra is imported here and nowhere else.  Below this file there are only plain values.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import hydra
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from efficiency_bench import config as configuration
from efficiency_bench.config import RunConfig
from efficiency_bench.errors import UserError

# The root of configs/train.yaml: so every key of RunConfig can be overridden, and no other.
ConfigStore.instance().store(name="schema", node=RunConfig)


@dataclass(frozen=True)
class Place:
    """Where a run stands in its sweep: number (from 1) of total; 1 of 1 alone."""

    number: int
    total: int


def launch(arguments: Sequence[str], run: Callable[[RunConfig, Place], None]) -> None:
    """Compose ``arguments`` (Hydra's command line) and call ``run`` for every job of it.

    With ``-m`` the jobs of a sweep run one after the other in this process (other launchers
    are Hydra's business).  Raises UserError for anything wrong on the command line.
    """
    # Hydra would print a trimmed traceback and exit 1; this makes it raise instead.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    refused: list[UserError] = []

    def task(composed: DictConfig) -> None:
        try:
            loaded = configuration.load(composed)
        except UserError as error:  # raised inside, Hydra would print lines of its own
            refused.append(error)
            return
        run(with_group(loaded), place(arguments))

    main = hydra.main(
        version_base="1.3", config_path="pkg://efficiency_bench.configs", config_name="train"
    )(task)
    arguments_before = sys.argv
    sys.argv = ["efficiency-bench train", *arguments]
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(one_message(error, arguments)) from error
    except yaml.YAMLError as error:
        raise UserError(
            f"a configuration file is no YAML: {' '.join(str(error).split())}"
        ) from error
    finally:
        sys.argv = arguments_before
    if refused:
        raise refused[0]


def with_group(config: RunConfig) -> RunConfig:
    """A sweep's runs are grouped by its suite where no group was named."""
    if config.tracking.group is None and config.suite is not None:
        return replace(config, tracking=replace(config.tracking, group=config.suite))
    return config


def place(arguments: Sequence[str]) -> Place:
    """This job's place in the sweep of ``arguments``; a suite adds its own parameters."""
    settings = HydraConfig.get()
    if settings.mode is None or settings.mode.name != "MULTIRUN":
        return Place(1, 1)
    swept = {name: f"{name}={values}" for name, values in (settings.sweeper.params or {}).items()}
    given = [text for text in arguments if "=" in text and not text.startswith("-")]
    swept |= {text.split("=", 1)[0]: text for text in given}
    parsed = OverridesParser.create().parse_overrides(list(swept.values()))
    total = math.prod(_choices(override) for override in parsed)
    return Place(int(settings.job.num) + 1, total)


def _choices(override: Override) -> int:
    return sum(1 for _ in override.sweep_string_iterator()) if override.is_sweep_override() else 1


def one_message(error: Exception, arguments: Sequence[str]) -> str:
    """Hydra's message in one or two lines: what was wrong, the known choices, what to type."""
    whole = str(error)
    lines = [line.strip() for line in whole.splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    if text.startswith("You must specify"):
        return _nothing_to_train(arguments)
    if text.startswith("Ambiguous value"):
        return f"{text}; several values are a sweep: add -m"
    if "Available options" in whole:
        start = next(i for i, line in enumerate(lines) if line.startswith("Available options"))
        options = itertools.takewhile(lambda line: " " not in line, lines[start + 1 :])
        return f"{_without_parent(text)}; known: {', '.join(options)}"
    if "not in struct" in whole or "Could not override" in whole:
        key = re.search(r"'([^']+)'", text)
        name = key.group(1) if key else text
        return f"unknown key {name!r}; {_known_keys(name)}"
    if error.__cause__ is not None:
        cause = str(error.__cause__).splitlines()[0]
        return f"{text.replace('Error merging override', 'wrong value')}: {cause}"
    return text


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
    """The keys beside ``name`` in the typed configuration."""
    kind: object = RunConfig()
    for part in name.split(".")[:-1]:
        kind = getattr(kind, part, None)
    fields = getattr(kind, "__dataclass_fields__", RunConfig.__dataclass_fields__)
    return f"known: {', '.join(sorted(fields))}"
