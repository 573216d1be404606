"""Writes docs/result.md from its template, and the README's line of it: nothing in them is typed.

In the template `{{ run("fit ...") }}` stands for a command and what it prints, and
`value("fit ... --json")` for the same as values.  Commands run as a reader types them, at 80
columns, on the committed ledger.

    python docs/make_result.py [--check]
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "docs" / "result.md.j2"
PAGE = ROOT / "docs" / "result.md"
README = ROOT / "README.md"
BEGINNING = "| measured here on 10,000 images of CIFAR-10"
"""Of the README's rows."""

HEADLINE = "fit --until 2019-12-31"
"""What 2020 could have measured: every row published before that year ended."""

CHARTS = {"result.png": HEADLINE, "result_all.png": "fit"}
"""Picture in docs/images -> the fit that it shows."""


def main() -> None:
    """Write both pages and the charts, or with --check say which page is not as it would be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if one differs")
    check = parser.parse_args().check
    differing = [path for path, text in pages().items() if path.read_text("utf-8") != text]
    for path in differing:
        print(f"{path.relative_to(ROOT)} {'is not what comes out' if check else 'is written'}")
    if check:
        sys.exit(bool(differing))
    for path, text in pages().items():
        path.write_text(text, "utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for name, words in CHARTS.items():
            printed(f"{words} --chart {folder}")
            shutil.copy(Path(folder) / "halving.png", ROOT / "docs" / "images" / name)


def pages() -> dict[Path, str]:
    """Each page and what it should hold."""
    environment = Environment(
        undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    told = (run, value, entries, lacking, machine_of)
    environment.globals |= {function.__name__: function for function in told}
    environment.filters |= {"n": significant}
    page = environment.from_string(TEMPLATE.read_text("utf-8")).render()
    rows = re.compile(f"(?:^{re.escape(BEGINNING)}.*\n)+", re.MULTILINE)
    lines = readme_line(HEADLINE, "rows until 2019") + readme_line("fit", "all rows")
    readme, replaced = rows.subn(lines, README.read_text("utf-8"))
    if replaced != 1:
        sys.exit(f"README.md has {replaced} blocks of rows that begin with {BEGINNING!r}, not one")
    return {PAGE: page, README: readme}


def readme_line(words: str, which: str) -> str:
    """A row of the README: what the fit gives, and how to see it."""
    fitted = value(words + " --json")
    months = fitted["halving_months"]
    low, high = fitted["low_months"], fitted["high_months"]
    interval = f"{months:.1f} ({low:.1f} to {f'{high:.1f}' if high else 'no fall'})"
    level = 100 * fitted["target"]["value"]
    what = f"{BEGINNING}, top-1 {level:.1f} %, {which} (`efficiency-bench {words}`)"
    return f"{what} | {interval} | {fitted['reduction_factor']:.3g}x | {fitted['n']} |\n"


def run(words: str) -> str:
    """The command and its output as two fenced blocks."""
    reason = "docs/make_result.py runs it on the committed ledger"
    output = "\n".join(line.rstrip() for line in printed(words).strip("\n").splitlines())
    command = f"<!-- not run: {reason} -->\n```bash\nefficiency-bench {words}\n```"
    return f"{command}\n\n```text\n{output}\n```"


def value(words: str) -> Any:
    """What the command, which ends in --json, says as values."""
    return json.loads(printed(words))


@functools.cache
def entries() -> list[dict[str, Any]]:
    """The committed ledger, whole; `verify` has read it by then."""
    files = sorted((ROOT / "runs" / "ledger").glob("*.json"))
    return [json.loads(file.read_text("utf-8")) for file in files]


def machine_of(model: str) -> str:
    """The processor that this model's first run was trained on."""
    first = next(entry for entry in entries() if entry["model"] == model)
    cpu: str = first["provenance"]["hardware"]["cpu"]
    return cpu


def lacking(suite: str) -> str:
    """The rows of a suite that the ledger has not all seeds of, as words."""
    text = (ROOT / "configs" / "suite" / f"{suite}.yaml").read_text("utf-8")
    swept = yaml.safe_load(text)["hydra"]["sweeper"]["params"]
    choices = {key: str(values).split(",") for key, values in swept.items()}
    seeds = len(choices.pop("seed"))
    trained = [entry for entry in entries() if entry["estimand"] == "anytime"]
    found = []
    for row in itertools.product(*choices.values()):
        wanted = dict(zip(choices, row, strict=True))
        here = sum(all(entry[key] == word for key, word in wanted.items()) for entry in trained)
        if here < seeds:
            found.append(f"{' with '.join(row)} ({here} of {seeds} seeds)")
    return ", ".join(found) or "nothing"


def significant(number: float | None, digits: int = 3) -> str:
    """A number to so many significant digits, without an exponent; what is open as such."""
    if number is None:
        return "no limit"
    rounded = float(f"{number:.{digits}g}")
    return f"{rounded:.0f}" if rounded == int(rounded) else f"{rounded:.6f}".rstrip("0")


@functools.cache
def printed(words: str) -> str:
    """Standard output of `efficiency-bench WORDS` in the project's folder."""
    program = Path(sys.executable).with_name("efficiency-bench")
    done = subprocess.run(
        [program, *shlex.split(words)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"efficiency-bench {words}: exit code {done.returncode}; type it to see why")
    return done.stdout


if __name__ == "__main__":
    main()
