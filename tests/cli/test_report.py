"""`efficiency-bench report`: what it prints, where it falls back, and that it needs no torch."""

import subprocess
import sys

from efficiency_bench.ledger import store
from tests.cli.users import refused
from tests.ledger.factory import make_entry

WITHOUT_TORCH = (
    "import sys; sys.modules['torch'] = None; sys.argv[0] = 'efficiency-bench';"
    "from efficiency_bench.cli import main; main()"
)


def test_it_prints_the_page_and_needs_no_torch(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "report", "--ledger", "published", "--out", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "out/index.html\n", "")
    assert "15.7 months" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_a_missing_ledger_gives_the_published_rows_and_says_so(tmp_path, typed):
    result = typed("report", "--ledger", "nowhere", "--out", "out")
    assert result.returncode == 0
    remark = "No entries in nowhere: these are the published rows."
    assert remark in result.stderr
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert remark in page
    assert "15.7 months" in page


def test_an_invalid_file_is_named_on_the_page(tmp_path, typed):
    store.append(tmp_path / "ledger", make_entry("one"))
    (tmp_path / "ledger" / "broken.json").write_text("{")
    result = typed("report", "--ledger", "ledger", "--out", "out")
    assert result.stdout == "out/index.html\n"
    for text in (result.stderr, (tmp_path / "out" / "index.html").read_text(encoding="utf-8")):
        assert "Not read: ledger/broken.json: not JSON" in text


def test_an_output_folder_that_cannot_be_written(tmp_path, typed):
    (tmp_path / "file").write_text("")
    refused(typed("report", "--ledger", "published", "--out", "file"), "cannot write", "folder")
