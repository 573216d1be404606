"""Any file content: only UserErrors, and every line is an evaluation or is reported."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficiency_bench.ledger.importers import FORMATS, import_file_or_folder
from efficiency_bench.ledger.importers.reading import decimal, fraction, json_object, note

NAMES = {"openai": "a.csv", "dawnbench": "a.tsv", "ffcv": "a.log", "mllog": "a.txt"}
HEADERS = {
    "openai": "Metric,Publication Date,Publication,Publication link,Compute (teraflops-s/days),"
    "Reduction Factor,Analysis,Analysis link",
    "dawnbench": "epoch\thours\ttop1Accuracy\ttop5Accuracy",
    "ffcv": '{"epoch": 0, "relative_time": 1, "top_1": 0.1, "top_5": 0.2}',
    "mllog": ':::MLLOG {"key": "submission_benchmark", "value": "resnet"}\n'
    ':::MLLOG {"key": "run_start", "time_ms": 1600000000000}',
}
WORDS = st.one_of(
    st.sampled_from(["1", "2", "0", "-1", "79.1", "1e400", "nan", "9" * 400, "epoch", "AlexNet"]),
    st.sampled_from(["\ud800", '"', "{", "}", "[", ",", "\t", " ", "\n", "\r\n", "\x00", "\ufeff"]),
    st.sampled_from([":::MLLOG ", '{"key": "eval_accuracy", "value": 0.5, "metadata": ']),
    st.sampled_from(['{"epoch_num": 1}, "time_ms": 1600000001000}', "6/1/2012", "é", "null"]),
    st.sampled_from(['{"epoch": 1, ', '"relative_time": 1e308, ', '"top_1": 0.1, "top_5": 0.3}']),
)
GARBAGE = st.one_of(
    st.binary(max_size=300),
    st.lists(WORDS, max_size=40).map(lambda w: "".join(w).encode("utf-8", "surrogatepass")),
)


def imported(form, content, **options):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, NAMES[form]).write_bytes(content)
        Path(folder, "a.json").write_text('{"model": "ResNet50", "timestamp": "2020-01-01"}')
        return import_file_or_folder(form, Path(folder, NAMES[form]), **options)


@pytest.mark.parametrize("form", FORMATS)
@given(content=GARBAGE)
def test_garbage_raises_no_exception_and_gives_no_entry(form, content):
    assert imported(form, content).entries == () or b"eval_accuracy" in content or form == "ffcv"


@pytest.mark.parametrize("form", FORMATS)
@given(content=GARBAGE)
def test_each_line_after_a_valid_start_is_an_evaluation_or_is_reported(form, content):
    good = HEADERS[form].encode()
    got = imported(form, good + b"\n" + content)
    lines = content.split(b"\n")
    if form == "mllog":
        lines = [line for line in lines if b":::MLLOG" in line]
    written = len([line for line in lines if line.decode("utf-8", "replace").strip()])
    rows = sum(len(entry.evaluations) for entry in got.entries)
    rows = len(got.entries) if form == "openai" else rows
    named = len({skipped.line for skipped in got.skipped if skipped.line})
    settings = content.count(b'"key"') if form == "mllog" else 0
    assert rows + named + settings >= written
    assert rows <= written + (form == "ffcv")
    for entry in got.entries:
        json.dumps(entry.model_dump(mode="json"), allow_nan=False)


@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 5_000)),
        min_size=1,
        max_size=12,
        unique_by=lambda row: row[0],
    ).map(sorted)
)
def test_a_table_round_trips(rows):
    text = "\n".join(
        f"{epoch / 100}\t{epoch / 10}\t{a / 100}\t{a / 100 + 50}" for epoch, a in rows if epoch
    )
    header = "epoch\thours\ttop1Accuracy\ttop5Accuracy"
    got = imported("dawnbench", f"{header}\n{text}\n".encode())
    expected = [(epoch / 100, a / 10_000, a / 10_000 + 0.5) for epoch, a in rows if epoch]
    points = [(e.epochs, e.top1, e.top5) for entry in got.entries for e in entry.evaluations]
    if not (got.skipped and "does the first line swap them?" in got.skipped[0].reason):
        assert len(points) == len(expected)
        for point, wanted in zip(points, expected, strict=True):
            assert point == pytest.approx(wanted, abs=1e-12)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_round_trip(value):
    assert decimal(repr(value)) == value == decimal(value)


@pytest.mark.parametrize(
    "text", ["", " ", "nan", "inf", "1_0", "0x1", "1e999", "1,5", "٣", "1" * 201, True, None, []]
)
def test_other_spellings_are_not_numbers(text):
    assert decimal(text) is None
    assert fraction(text, 1) is None


def test_fractions_are_between_0_and_1():
    assert [fraction(x, 100) for x in ("0", "79.1", "100")] == pytest.approx([0, 0.791, 1])
    assert [fraction(x, 100) for x in ("-0.1", "100.1")] == [None, None]


def test_json_object_rejects_nan_infinity_and_lone_surrogates():
    assert json_object('{"a": 1}') == {"a": 1}
    for text in ("[]", "1", '{"a": NaN}', '{"a": -Infinity}', '{"a": 1e999}', '{"a": "\\ud800"}'):
        assert json_object(text) is None
    assert json_object('{"a": ' + "1" * 5000 + "}") is None


def test_notes_are_single_lines_of_bounded_length():
    assert note(" a\nb\t c ") == "a b c"
    assert note("x" * 1000) == "x" * 200
    assert [note(x) for x in (None, "", [], {}, True)] == [None] * 5


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_is_not_regular_is_reported(form, tmp_path):
    os.mkfifo(tmp_path / NAMES[form])  # opening it would wait for ever
    got = import_file_or_folder(form, tmp_path)
    assert got.entries == ()
    assert "not a regular file" in got.skipped[0].reason
