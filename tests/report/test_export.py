"""The exported tables: opened by pyarrow, recounted from entries and logs by hand."""

import csv
import gzip
import io
import json
import math
import sys

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.ledger import read as read_ledger
from efficiency_bench.ledger.export import ROW_FIELDS
from efficiency_bench.report.export.columns import Column, TableSchema, fill
from efficiency_bench.report.export.formats import to_csv, to_parquet
from efficiency_bench.report.export.package import write_package
from efficiency_bench.report.export.tables import SCHEMAS, TABLES
from tests.ledger.factory import make_baseline, make_entry, make_rung
from tests.ledger.recorded import BUDGETED, LEDGER, MISSED, REACHED
from tests.report.exported import lines_of, opened


@pytest.fixture(scope="module")
def entries():
    return read_ledger(LEDGER).entries


@pytest.mark.parametrize("name", TABLES)
def test_csv_and_parquet_have_the_same_content(name, entries):
    table = TABLES[name]([*entries, make_entry("other"), make_rung("rung", 0.25)])
    from_csv, from_parquet = opened(to_csv(table), to_parquet(table))
    assert from_parquet.num_rows == len(table.lines) > 0
    assert from_csv.to_pydict() == from_parquet.to_pydict()
    written = [tuple(line.values()) for line in from_parquet.to_pylist()]
    assert written == list(table.lines)


def test_a_package_describes_the_columns_that_its_files_have(entries, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow: make env")

    tables = [make(entries) for make in TABLES.values()]
    written = write_package(tables, tmp_path / "out")
    assert {path.name for path in written} == {path.name for path in (tmp_path / "out").iterdir()}
    package = json.loads((tmp_path / "out" / "datapackage.json").read_text())
    assert [resource["path"] for resource in package["resources"]] == [
        f"{name}.{form}" for name in ("runs", "curves", "rows") for form in ("csv", "parquet")
    ]
    for resource in package["resources"][::2]:
        described = {field["name"]: field for field in resource["schema"]["fields"]}
        content = (tmp_path / "out" / resource["path"]).read_text()
        assert next(csv.reader(io.StringIO(content))) == list(described)
        assert resource["bytes"] == len(content.encode())
        stored = parquet.read_schema(tmp_path / "out" / f"{resource['name']}.parquet")
        assert stored.names == list(described)
        for field in stored:
            own = described[field.name]
            assert field.metadata[b"unit"].decode() == own.get("unit", "")
            assert field.metadata[b"description"].decode() == own["description"]
            assert {
                "string": "string",
                "integer": "int64",
                "number": "double",
                "boolean": "bool",
                "date": "date32[day]",
            }[own["type"]] == str(field.type)
        assert set(resource["schema"]["primaryKey"]) <= set(described)


def test_every_column_is_described_once():
    for schema in SCHEMAS:
        names = [column.name for column in schema.columns]
        assert len(set(names)) == len(names)
        for column in schema.columns:
            assert column.description
            assert not column.description.endswith(".")
            assert "|" not in column.description, "it stands in a table of Markdown"


def test_runs_have_every_listed_field(entries):
    """Names as in `ledger list --json`; the target there is two columns here."""
    names = {column.name for column in TABLES["runs"](entries).schema.columns}
    assert set(ROW_FIELDS) - {"target"} | {"target_metric", "target_value"} <= names


def test_runs_are_what_the_entries_say(entries):
    found = {line["run_id"]: line for line in lines_of(TABLES["runs"](entries))}
    assert list(found) == sorted([REACHED, MISSED, BUDGETED])
    for run_id, line in found.items():
        entry = json.loads((LEDGER / f"{run_id}.json").read_text())
        log = gzip.decompress((LEDGER / "events" / f"{run_id}.jsonl.gz").read_bytes())
        start = json.loads(log.splitlines()[0])
        for name in ("train_images", "val_images"):
            assert line[name] == start[name]
        assert line["planned_epochs"] == start["total_epochs"]
        recipe = entry["config"]["recipe"]
        assert line["optimizer"] == recipe["optimizer"]["name"]
        assert line["recipe_lr"] == recipe["optimizer"]["lr"]
        assert line["weight_decay"] == recipe["optimizer"]["weight_decay"]
        assert line["batch_size"] == recipe["batch_size"]
        assert line["schedule"] == recipe["schedule"]["name"]
        for digest in ("config_digest", "data_digest", "weights_digest", "entry_digest"):
            assert line[digest] == entry[digest]
        assert line["code_digest"] == entry["provenance"]["code_digest"]
        assert str(line["model_date"]) == entry["config"]["model"]["published"]
        assert str(line["recipe_date"]) == recipe["date"]
        assert str(line["date"]) == max(str(line["model_date"]), str(line["recipe_date"]))
        assert (line["scale"], line["inner_split"]) == (1.0, 0.0), "there was no such setting"
        assert line["image_px"] == max(map(int, start["counts"]))
        curve = entry["evaluations"]
        assert line["best_top1"] == max(e["top1"] for e in curve)
        assert line["best_top5"] == max(e["top5"] for e in curve)
        assert (line["final_top1"], line["final_loss"]) == (curve[-1]["top1"], curve[-1]["loss"])
        assert "EPYC" in line["hardware"] or "Xeon" in line["hardware"]
        # both kinds of compute from the means of F and B
        forward, backward = line["forward_macs"], line["backward_macs"]
        assert 3 * line["images"] * forward / 8.64e16 == pytest.approx(line["paper3x_tfs_days"])
        assert 2 * line["images"] * (forward + backward) == pytest.approx(line["exact_flops"])
        assert backward == pytest.approx(2 * forward - line["first_layer_macs"])


def test_a_crossing_has_its_interval_and_a_run_that_missed_a_lower_end(entries):
    found = {line["run_id"]: line for line in lines_of(TABLES["runs"](entries))}
    reached, missed = found[REACHED], found[MISSED]
    low, high = reached["crossing_low_images"], reached["crossing_high_images"]
    assert low < reached["sustained_crossing_images"] < high
    assert missed["reached"] is False
    assert missed["sustained_crossing_images"] is missed["crossing_high_images"] is None
    assert missed["crossing_low_images"] == 80_000, "all that it trained: far from the target"


def test_the_compute_of_a_curve_matches_the_log(entries):
    """A progress event stands before each evaluation, with the compute of that moment."""
    found = lines_of(TABLES["curves"](entries))
    for run_id in (REACHED, MISSED, BUDGETED):
        log = gzip.decompress((LEDGER / "events" / f"{run_id}.jsonl.gz").read_bytes())
        events = [json.loads(line) for line in log.splitlines()]
        spent = {e["images"]: e["paper3x_tfs_days"] for e in events if e["event"] == "progress"}
        curve = [line for line in found if line["run_id"] == run_id]
        logged = [e for e in events if e["event"] == "evaluation"]
        assert [line["evaluation"] for line in curve] == list(range(1, len(logged) + 1))
        for line, event in zip(curve, logged, strict=True):
            for name in ("images", "top1", "top5", "loss", "val_images"):
                assert line[name] == event[name]
            assert line["paper3x_tfs_days"] == pytest.approx(spent[event["images"]], rel=1e-12)
    sides = {line["image_px"] for line in found if line["run_id"] == BUDGETED}
    assert sides == {24, 32}, "progressive resizing"


def test_sets_too_small_for_a_fit_are_exported_too():
    seeds = [make_entry(f"s{seed}", seed=seed, crossing_images=1000 * 2**seed) for seed in (0, 2)]
    missed = make_entry("s3", seed=3, crossing_images=None)
    (line,) = lines_of(TABLES["rows"]([*seeds, missed]))
    macs = 3 * 1_000_000 / 8.64e16
    assert line["compute_tfs_days"] == pytest.approx(2000 * macs)
    assert line["compute_at_least_tfs_days"] == pytest.approx(
        (1000 * 4000 * 5000) ** (1 / 3) * macs
    )
    assert (line["censoring"], line["compute_at_most_tfs_days"]) == ("some seeds", None)
    assert (line["fitted"], line["on_frontier"]) == (False, None)


def test_a_ladder_gives_an_interval_and_without_a_level_it_is_named():
    rungs = [make_rung("low", 0.25, 0.8), make_rung("high", 0.5, 0.95)]
    _, row = lines_of(TABLES["rows"]([*rungs, make_baseline("b")]))
    low, high = (entry.paper3x_tfs_days for entry in rungs)
    assert (row["censoring"], row["estimand"]) == ("interval", "budgeted")
    assert row["compute_at_least_tfs_days"] == pytest.approx(low)
    assert row["compute_at_most_tfs_days"] == pytest.approx(high)
    alone = TABLES["rows"](rungs)
    assert alone.lines == ()
    assert "no baseline" in alone.problems[0]


STRANGE = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1")


@pytest.mark.parametrize("text", STRANGE)
def test_a_strangers_text_is_inert_in_both_formats(text):
    entry = make_entry(text, model=text, recipe=text, experiment=text, data=text, source=text)
    entry = entry.model_copy(update={"config": {"recipe": {"schedule": {"name": text}}}})
    for make in TABLES.values():
        table = make([entry])
        from_csv, from_parquet = opened(to_csv(table), to_parquet(table))
        assert from_csv.to_pydict() == from_parquet.to_pydict()
        (line,) = from_parquet.to_pylist()
        strings = [value for value in line.values() if isinstance(value, str)]
        assert any(text.strip() in value for value in strings)
        assert not [value for value in strings if value[:1] in "=+-@\t\n＝"]


def test_a_setting_of_another_type_is_left_empty_and_named():
    config = {
        "recipe": {
            "optimizer": {"lr": "fast", "name": ["sgd"]},
            "batch_size": 32.5,
            "epochs": True,
        },
        "model": {"published": "2015-02-30"},
        "data": 3,
    }
    table = TABLES["runs"]([make_entry("strange", config=config)])
    (line,) = lines_of(table)
    empty = ("planned_epochs", "optimizer", "recipe_lr", "batch_size", "model_date")
    assert [line[name] for name in empty] == [None] * 5
    for name, problem in zip(sorted(empty), sorted(table.problems), strict=True):
        assert problem.startswith(f"run strange: {name} is ")
        assert problem.endswith("left empty")


@pytest.mark.parametrize("value", [math.inf, math.nan, 2**63, -(2**64), 10**400, {}, b"x"])
@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "date"])
def test_no_value_of_a_column_is_of_another_type(kind, value):
    schema = TableSchema("t", "", (), (Column("c", kind, None, "", lambda item: item),))
    table = fill(schema, [value], str)
    if kind == "number" and isinstance(value, int) and value < 10**400:
        assert table.lines == ((float(value),),)
    else:
        assert table.lines == ((None,),)
        assert len(table.problems) == 1


def test_without_pyarrow_the_message_says_what_to_install(entries, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    table = TABLES["runs"](entries)
    with pytest.raises(UserError, match=r"(?s)pyarrow.*--format csv\n.*pip install pyarrow"):
        to_parquet(table)
    with pytest.raises(UserError, match="pyarrow"):
        write_package([table], tmp_path / "out")
    assert not (tmp_path / "out").exists()
