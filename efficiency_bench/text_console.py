"""The console that everything is printed on: it shows text as text, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from efficiency_bench.plain_text import visible


class TextConsole(Console):
    r"""A Console without markup and emoji codes, and with control characters as ``\x1b``.

    A name such as ``[/red]`` is then a name.  Styles and links are set by the caller alone.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """Text of a string, before it is laid out."""
        return super().render_str(visible(text), **settings)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Segments of anything; what is not a command to the terminal is made visible."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))
