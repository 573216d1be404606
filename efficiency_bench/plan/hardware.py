"""Machines that runs can be planned for: peak, utilisation, power and price, with sources."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from efficiency_bench.errors import UserError, unknown

HERE = "here"
"""The machine that makes the plan: measured instead of read from a table."""


class Hardware(BaseModel):
    """One machine.  Unknown values are None; every other figure has a source."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    devices: PositiveInt
    """Number of devices; a run uses one process per device."""
    peak_flops_per_second: dict[str, PositiveFloat]
    """Precision -> FLOP/s of one device, dense."""
    peak_source: str
    utilisation: float = Field(gt=0, le=1)
    """Fraction of the peak that training reaches."""
    utilisation_source: str
    board_power_watts: PositiveFloat | None = None
    """Per device, without the host."""
    board_power_source: str | None = None
    cpu_threads: PositiveInt | None = None
    """Of the whole machine: more loading processes than this do not help."""
    cpu_threads_source: str | None = None
    price_usd_per_hour: float | None = Field(default=None, ge=0)
    """Of the whole machine."""
    price_source: str | None = None
    price_date: str | None = None
    """ISO date on which the price was read."""

    def flops_per_second(self, precision: str) -> float:
        """FLOP/s that training reaches on all devices; UserError for an unlisted precision."""
        if precision not in self.peak_flops_per_second:
            raise UserError(
                f"hardware={self.name} has no figures for precision={precision}; type"
                f" precision= with one of {', '.join(self.peak_flops_per_second)}"
            )
        return self.devices * self.peak_flops_per_second[precision] * self.utilisation


def load_hardware(asked: str) -> Hardware:
    """The machine named ``asked`` in ``configs/hardware``, or in the YAML file at that path.

    Raises UserError for an unknown name and for an invalid file.
    """
    own = Path(asked)
    if own.suffix in (".yaml", ".yml"):
        try:
            return _parsed(own.read_text(encoding="utf-8"), asked)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"cannot read hardware={asked}: {error}; name a file that can be read"
            ) from error
    tables = importlib.resources.files("efficiency_bench.configs") / "hardware"
    names = {Path(file.name).stem for file in tables.iterdir() if file.name.endswith(".yaml")}
    if asked not in names:
        wrong = unknown("hardware", asked, {HERE, *names})
        raise UserError(f"{wrong};\nor type hardware=FILE.yaml with your own file (docs/plan.md)")
    return _parsed((tables / f"{asked}.yaml").read_text(encoding="utf-8"), asked)


def _parsed(text: str, asked: str) -> Hardware:
    try:
        return Hardware.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise UserError(
            f"hardware={asked} is not valid YAML: {' '.join(str(error).split())};\n"
            "write lines of KEY: VALUE, as in configs/hardware/"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"hardware={asked}: {place}: {first['msg']};\n"
            f"change it; its keys are: {', '.join(Hardware.model_fields)}"
        ) from error
