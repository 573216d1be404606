"""The pages of configuration keys and ledger fields have every key and field of the code."""

import dataclasses
import re
import runpy

import pytest

from efficiency_bench import records
from efficiency_bench.config import RunConfig
from tests.docs.pages import ROOT

LINE = re.compile(r"^\| `(?P<name>[\w.]+)` \| (?P<rest>.*) \|$", re.MULTILINE)
COMMAND = "python docs/write_references.py"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(ROOT / "docs" / "write_references.py"))


def lines(text):
    """Return name -> its other cells, of the tables in ``text`` that have four columns."""
    found = ((line["name"], re.split(r" \| ", line["rest"])) for line in LINE.finditer(text))
    return {name: cells for name, cells in found if len(cells) == 3}


def keys(kind, prefix=""):
    """Yield the keys of the default configuration; the values of nested classes are groups."""
    for field in dataclasses.fields(kind):
        value = getattr(kind, field.name)
        if dataclasses.is_dataclass(value):
            yield from keys(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def test_the_pages_are_as_generated(script):
    for path, text in script["pages"]().items():
        assert path.read_text("utf-8") == text, COMMAND


def test_every_key_has_a_type_a_default_and_a_meaning():
    listed = lines((ROOT / "docs" / "configuration.md").read_text("utf-8"))
    assert list(listed.keys() ^ set(keys(RunConfig()))) == []
    assert [name for name, cells in listed.items() if not all(cells)] == []
    assert listed["data.workers"][:2] == ["int", "`4`"]
    assert listed["model.name"][:2] == ["str", "required"]
    assert listed["budget"][:2] == ["float or null", "`null`"]


def test_every_field_has_a_type_a_default_and_a_meaning(script):
    page = (ROOT / "docs" / "ledger_fields.md").read_text("utf-8")
    used = {
        name
        for name, kind in vars(records).items()
        if isinstance(kind, type)
        and issubclass(kind, records.Record)
        and kind is not records.Record
    }
    assert set(script["CLASSES"]) == used
    for name in used:
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        listed = lines(section)
        assert list(listed) == list(getattr(records, name).model_fields)
        assert [field for field, cells in listed.items() if not all(cells)] == [], name


def test_no_added_description_is_of_a_key_or_field_that_is_gone(script):
    fields = {
        f"{name}.{field}"
        for name in script["CLASSES"]
        for field in getattr(records, name).model_fields
    }
    assert set(script["MORE"]) - fields - set(keys(RunConfig())) == set()
