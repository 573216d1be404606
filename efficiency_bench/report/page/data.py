"""What the page's script reads: each chart, each table of points and each run once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from efficiency_bench.report.page.charts import PageChart, Spec, run_charts
from efficiency_bench.report.page.runs import FACTS, Runs


def page_data(
    charts: Mapping[str, Mapping[str, PageChart]], runs: Runs, sets: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """JSON values; ``charts``: set -> part -> chart, ``sets``: set -> its run ids."""
    points = _Points()
    return {
        "charts": {
            f"{slug}-{part}": {"specs": points.taken_from(chart.specs), "curves": chart.curves}
            for slug, parts in charts.items()
            for part, chart in parts.items()
        },
        "runChart": points.taken_from(run_charts()),
        "datasets": points.datasets,
        "facts": FACTS,
        "runs": runs.opened,
        "shared": runs.shared,
        "sets": sets,
    }


class _Points:
    """The data sets of all specifications under short names; equal ones are one."""

    def __init__(self) -> None:
        self.datasets: dict[str, Any] = {}
        self._names: dict[str, str] = {}

    def taken_from(self, specs: Mapping[str, Spec]) -> dict[str, Spec]:
        """The specifications with names in place of points, and without titles: the page has
        headings."""
        return {
            size: {key: self._named(part) for key, part in spec.items() if key != "title"}
            for size, spec in specs.items()
        }

    def _named(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self._named(one) for one in part]
        if not isinstance(part, dict):
            return part
        if isinstance(part.get("values"), list) and part.keys() == {"values"}:
            return {"name": self._name(part["values"])}
        return {key: self._named(below) for key, below in part.items()}

    def _name(self, values: list[Any]) -> str:
        text = json.dumps(values)
        if text not in self._names:
            name = f"points{len(self._names)}"
            self._names[text] = name
            self.datasets[name] = values
        return self._names[text]
