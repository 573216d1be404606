"""The console that prints all output, and shows untrusted text literally."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from efficiency_bench.formatting import visible


class TextConsole(Console):
    r"""A Console without markup or emoji codes, with control characters escaped (``\x1b``).

    A name such as ``[/red]`` is printed literally.  Only the caller sets styles and links.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """Return a string as Text, before layout."""
        return super().render_str(visible(text), **settings)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments of any renderable, with control characters in its text escaped."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))
