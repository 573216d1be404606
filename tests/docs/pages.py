"""The documentation pages: their code blocks, links and anchors."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+?) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<(?:img|a)[^>]*?(?:src|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block; ``reason`` says why its commands cannot be run here, if they cannot."""

    language: str
    body: str
    reason: str | None

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """The words of each line, without comments; a line may go on after a backslash."""
        lines = self.body.replace("\\\n", " ").splitlines()
        words = (tuple(shlex.split(line, comments=True)) for line in lines)
        return tuple(command for command in words if command)


def blocks(page: Path) -> tuple[Block, ...]:
    """The fenced blocks of a page, in order."""
    return tuple(
        Block(found["language"], found["body"], found["reason"])
        for found in FENCE.finditer(page.read_text())
    )


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def links(page: Path) -> tuple[str, ...]:
    """Return the link targets of a page, as written."""
    return tuple(one or other for one, other in LINK.findall(prose(page)))


def anchors(page: Path) -> frozenset[str]:
    """The names that headings get on GitHub and in MkDocs alike."""
    return frozenset(
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(prose(page))
    )
