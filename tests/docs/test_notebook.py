"""The notebook goes from the shipped ledger to a chart; its code cells are run without Jupyter.

The ledger grows, so nothing here knows its numbers: the same functions give them again.
"""

import ast
import json

import pytest
import vl_convert

import efficiency_bench
from tests.docs.pages import ROOT

EXAMPLES = ROOT / "docs" / "examples"
NOTEBOOK = json.loads((EXAMPLES / "halving.ipynb").read_text("utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def names():
    """What the cells leave behind, run from top to bottom in the notebook's folder."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(EXAMPLES)
        for number, cell in enumerate(CODE):
            exec(compile(cell, f"cell {number}", "exec"), found)
    return found


def test_the_cells_read_fit_and_draw_the_shipped_ledger(names):
    shipped = efficiency_bench.ledger.read(ROOT / "runs" / "ledger")
    assert names["ledger"].entries == shipped.entries
    fitted = efficiency_bench.fit(shipped.entries, data="cifar10")
    rows = [row for row in fitted.rows if row["date"] is not None]
    assert len(rows) == len(names["points"]) >= 3
    reached = {point["network"] for point in names["points"] if point["target"] == "reached"}
    assert reached == {row["model"] for row in rows if row["reached"]}
    picture = vl_convert.vegalite_to_svg(names["chart"].to_dict())
    assert picture.count('aria-roledescription="point"') == len(rows)
    assert "publication date" in picture


def test_only_public_functions_are_used():
    for cell in CODE:
        for node in ast.walk(ast.parse(cell)):
            assert not isinstance(node, ast.ImportFrom), "import efficiency_bench, altair"
            if isinstance(node, ast.Import):
                assert {name.name for name in node.names} <= {"altair", "efficiency_bench"}
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "efficiency_bench":
                assert node.attr in efficiency_bench.__all__


def test_it_is_committed_without_outputs():
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in cells] == [[]] * len(cells)
    assert {cell["execution_count"] for cell in cells} == {None}
