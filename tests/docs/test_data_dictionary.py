"""The columns on the page of the export are those of the code."""

import runpy

from tests.docs.pages import ROOT


def test_the_page_has_every_column_as_it_is_defined():
    script = runpy.run_path(str(ROOT / "docs" / "write_data_dictionary.py"))
    written = (ROOT / "docs" / "export.md").read_text("utf-8")
    assert written == script["page"](), "python docs/write_data_dictionary.py"
