"""Import OpenAI's leaderboard ``efficiency_sota.csv``: published compute, one number per row.

Format: github.com/openai/ai-and-efficiency, columns as in ``ledger.export``, dates as
month/day/year.  A file is rejected unless one of its dates shows that the month comes first.  A row
says how much compute reached a level, but not the epochs, so everything else stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from efficiency_bench.ledger.export import OPENAI_COLUMNS
from efficiency_bench.ledger.importers.imported import Wanted, counted_models, run_id
from efficiency_bench.ledger.importers.reading import Source, csv_fields, decimal, note
from efficiency_bench.ledger.reference import ALEXNET_LEVEL
from efficiency_bench.ledger.store import with_entry_digest
from efficiency_bench.records import NOT_MEASURED, Entry, Metric, Target

PATTERNS = ("*.csv",)
"""The files of a folder that belong to the format."""

REPOSITORY = "github.com/openai/ai-and-efficiency"

METRIC, DATE, PUBLICATION, LINK, COMPUTE, FACTOR, ANALYSIS, ANALYSIS_LINK = OPENAI_COLUMNS

RESNET50_LEVEL = ALEXNET_LEVEL.model_copy(update={"value": 0.929})
"""92.9 % top-5 (Hernandez & Brown 2020, section 4.3), with the same allowance for rounding."""

LEVELS = {
    "AlexNet": ALEXNET_LEVEL,
    "ResNet-50": RESNET50_LEVEL,
    "imagenet top5 0.929": RESNET50_LEVEL,  # its name in our own exports
}
"""The leaderboard's levels of accuracy on ImageNet."""

_OWN_LEVEL = re.compile(r"(?P<data>[a-z0-9_]+) (?P<metric>top1|top5) (?P<value>0\.[0-9]+|1)")
"""How ``ledger export --format openai`` writes levels other than AlexNet's."""

EXPORTED_BY = "efficiency-bench "
"""What ``ledger export`` writes before the run id in the ``Analysis`` column."""

MONTHS = 12

_DATE = re.compile(r"(?P<month>[0-9]{1,2})/(?P<day>[0-9]{1,2})/(?P<year>[0-9]{4})")


def entries(source: Source, wanted: Wanted) -> Iterator[Entry]:
    """Yield an entry of tier ``published`` for each row with an image accuracy level."""
    rows = list(_rows(source))
    if rows and (unclear := _unclear_dates(rows)):
        source.skip(f"{unclear}; write all dates as month/day/year")
        return
    for line, row in rows:
        if entry := _entry(source, line, row, wanted):
            yield entry


def _rows(source: Source) -> Iterator[tuple[int, Mapping[str, str]]]:
    columns: list[str] | None = None
    for line, text in source.lines():
        fields = csv_fields(text)
        if columns is None:
            columns = fields
            if fields is None or any(fields.count(name) != 1 for name in OPENAI_COLUMNS):
                source.skip(f"not a leaderboard: its first line must be {','.join(OPENAI_COLUMNS)}")
                return
        elif fields is None or len(fields) != len(columns):
            if text:
                source.skip(f"not the {len(columns)} columns that the first line names", line)
        else:
            yield line, dict(zip(columns, fields, strict=True))


def _unclear_dates(rows: Sequence[tuple[int, Mapping[str, str]]]) -> str | None:
    """Return why the dates may be day/month/year, or None if one shows that they are not.

    A row that ``ledger export`` wrote also shows it.
    """
    found = [(line, row, _DATE.fullmatch(row[DATE].strip())) for line, row in rows]
    dates = [(line, row, int(d["month"]), int(d["day"]), d[0]) for line, row, d in found if d]
    for line, _, month, day, text in dates:
        if month > MONTHS >= day:
            return f"line {line}: {text} is day/month/year, and so may be every date of the file"
    shown = any(
        day > MONTHS or row[ANALYSIS].strip().startswith(EXPORTED_BY) for _, row, _, day, _ in dates
    )
    unclear = [text for _, _, month, day, text in dates if month != day]
    if shown or not unclear:
        return None
    return f"{unclear[0]} may be day/month/year, and no date of the file shows that it is not"


def _entry(source: Source, line: int, row: Mapping[str, str], wanted: Wanted) -> Entry | None:
    level = _level(row[METRIC])
    publication = note(row[PUBLICATION])
    compute, published = decimal(row[COMPUTE]), _iso_date(row[DATE])
    if level is None:
        source.skip(f"{note(row[METRIC])} is not an image accuracy level", line)
    elif publication is None or compute is None or compute <= 0 or published is None:
        source.skip("no publication, no compute above 0, or no date month/day/year", line)
    elif not _is_wanted(level[1], wanted):
        source.skip(f"another target: {level[1].metric} {level[1].value:g}", line)
    else:
        return with_entry_digest(
            _published(source, row, level, publication, compute, published, wanted)
        )
    return None


def _published(
    source: Source,
    row: Mapping[str, str],
    level: tuple[str, Target],
    publication: str,
    compute_tfs_days: float,
    published: str,
    wanted: Wanted,
) -> Entry:
    data, target = level
    # an exported ledger has a row per seed, which only the run id distinguishes
    own = row[ANALYSIS].partition(EXPORTED_BY)[2].strip()
    known = {name.casefold(): name for name in counted_models()}
    return Entry(
        run_id=run_id("published", "openai", row[METRIC].strip(), publication, published, own),
        tier="published",
        source=f"{source.name}, {REPOSITORY}; {note(row[ANALYSIS]) or publication}",
        created_utc=wanted.created_utc,
        experiment=publication,
        model=known.get(publication.casefold(), publication),
        recipe="as_published",
        data=data,
        seed=None,
        date=published,
        end_reason="target",
        end_detail="a published number: epochs, images and the network's cost are not in the file",
        reached=True,
        target=target,
        images=None,
        steps=None,
        epochs=None,
        forward_macs=None,
        paper3x_tfs_days=compute_tfs_days,
        exact_flops=None,
        paper3x_to_target_tfs_days=compute_tfs_days,
        exact_flops_to_target=None,
        first_crossing_images=None,
        first_crossing_epochs=None,
        sustained_crossing_images=None,
        sustained_crossing_epochs=None,
        segments=(),
        evaluations=(),
        **NOT_MEASURED,
        config={
            "model": {"name": publication, "paper": note(row[LINK]) or ""},
            "printed": {key: note(value) or "" for key, value in row.items() if key},
        },
    )


def _level(text: str) -> tuple[str, Target] | None:
    """Return dataset and target of a level's name, or None."""
    text = text.strip()
    if text in LEVELS:
        return "imagenet", LEVELS[text]
    if own := _OWN_LEVEL.fullmatch(text):
        metric: Metric = "top1" if own["metric"] == "top1" else "top5"
        target = Target(metric=metric, value=float(own["value"]), confirmations=0)
        return own["data"], target
    return None


def _is_wanted(target: Target, wanted: Wanted) -> bool:
    same_metric = wanted.metric in (None, target.metric)
    return same_metric and wanted.target in (None, target.value)


def _iso_date(text: str) -> str | None:
    parts = _DATE.fullmatch(text.strip())
    if parts is None:
        return None
    try:
        return date(*(int(parts[name]) for name in ("year", "month", "day"))).isoformat()
    except ValueError:
        return None
