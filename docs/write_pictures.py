"""Writes the pictures of the pages from the committed ledger, a sweep and a report.

python docs/write_pictures.py                  all of them
python docs/write_pictures.py ladder report    the two that change with the ledger
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import vl_convert
from PIL import Image
from rich.console import Console
from rich.text import Text

DOCS = Path(__file__).resolve().parent
LEDGER = Path("runs", "ledger")  # in the checkout; the report names it
PROGRAM = str(Path(sys.executable).with_name("efficiency-bench"))

SWEEP = (
    "efficiency-bench train -m experiment=alexnet,resnet18,mobilenet_v1 data=digits"
    " target.value=0.8 model.scale=0.25 tracking.wandb=false"
)
COLUMNS, ROWS = 80, 24
MOVES = re.compile(r"(\r\n|\r|\n|\x1b\[\d*[AK]|\x1b\[2K|\x1b\[\?25[lh])")
WEB_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""Taken out of a picture, so that it asks nothing of the network."""

VIEWS = {"desk": (1200, 900, 1), "phone": (360, 740, 2)}
"""Width and height of the window in CSS px, and pixels per CSS px."""

PATIENCE_MS = 300_000
"""For the browser on a busy machine."""


def ladder() -> None:
    """Write ladder.svg: final accuracy against budget on CIFAR-10, one line per network."""
    import efficiency_bench
    from efficiency_bench.report.charts.ladder_chart import ladder_chart
    from efficiency_bench.report.charts.style import WIDE
    from efficiency_bench.report.tables.ladders import compared, ladder_lines

    measured = efficiency_bench.ledger.read(DOCS.parent / LEDGER).entries
    entries = [entry for entry in measured if entry.data == "cifar10"]
    target = efficiency_bench.fit(entries).target
    lines = ladder_lines(compared(entries), target.metric)
    chart = ladder_chart(lines, target, "10,000 images of CIFAR-10", WIDE)
    assert chart is not None, "no network has two budgets"
    drawn = vl_convert.vegalite_to_svg(json.dumps(chart.to_dict()))
    (DOCS / "ladder.svg").write_text(drawn, "utf-8")


def sweep() -> None:
    """Write sweep.svg: what SWEEP leaves on a terminal of 80 columns."""
    with tempfile.TemporaryDirectory() as folder:
        words = [PROGRAM, *SWEEP.split()[1:]]
        screen = left_on_screen(in_a_terminal(words, Path(folder)))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ {SWEEP}\n{screen}"))
    drawn = WEB_FONTS.sub("", console.export_svg(title="efficiency-bench"))
    (DOCS / "sweep.svg").write_text(drawn, "utf-8")


def in_a_terminal(words: list[str], folder: Path) -> str:
    """Return all that a command writes to a terminal, with its control codes."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    settings = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    settings["TERM"] = "xterm-256color"
    streams = {"stdin": there, "stdout": there, "stderr": there}
    process = subprocess.Popen(words, cwd=folder, env=settings, **streams)
    os.close(there)
    seen = b""
    try:
        while part := os.read(here, 65536):
            seen += part
    except OSError:  # the other end is closed
        pass
    os.close(here)
    assert process.wait() == 0, seen.decode()
    return seen.decode()


def left_on_screen(seen: str) -> str:
    """Return the lines that remain after moves up and erased lines, with their colours."""
    lines, row = [""], 0
    for part in MOVES.split(seen):
        if part.endswith("\n"):
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.endswith("K"):
            lines[row] = ""
        elif re.fullmatch(r"\x1b\[\d*A", part):
            row -= int(part[2:-1] or 1)
        elif not MOVES.fullmatch(part):
            lines[row] += part
    return "\n".join(lines).rstrip()


def report() -> None:
    """Write report_desk.png and report_phone.png: the top of the report of the ledger."""
    from playwright.sync_api import sync_playwright

    browser_path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert browser_path, "chromium is not installed: apt-get install chromium"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        words = [PROGRAM, "report", "--ledger", LEDGER, "--out", folder]
        subprocess.run(words, cwd=DOCS.parent, check=True)
        browser = playwright.chromium.launch(executable_path=browser_path, chromium_sandbox=False)
        for name, (width, height, scale) in VIEWS.items():
            size = {"width": width, "height": height}
            page = browser.new_page(viewport=size, device_scale_factor=scale)
            page.set_default_timeout(PATIENCE_MS)
            page.goto((Path(folder) / "index.html").as_uri())
            page.locator("svg").first.wait_for()
            shot = Image.open(io.BytesIO(page.screenshot()))
            # 64 colours are enough for text and charts, and a third of the size
            shot.convert("RGB").quantize(64).save(DOCS / f"report_{name}.png", optimize=True)
        browser.close()


PICTURES = {"ladder": ladder, "sweep": sweep, "report": report}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or PICTURES:
        PICTURES[chosen]()
