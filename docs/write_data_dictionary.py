"""Writes the tables of columns in docs/export.md from the columns' definitions.

python docs/write_data_dictionary.py
"""

from __future__ import annotations

from pathlib import Path

from efficiency_bench.report.export.package import dictionary
from efficiency_bench.report.export.tables import SCHEMAS

PAGE = Path(__file__).parent / "export.md"
BEGINNING = "<!-- columns: written by docs/write_data_dictionary.py -->\n"


def page() -> str:
    """Return the page as it should be."""
    above, _, _ = PAGE.read_text("utf-8").partition(BEGINNING)
    return f"{above}{BEGINNING}\n{dictionary(SCHEMAS)}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
