"""An HTML page parsed by the standard library, for tests to query."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    within: tuple[Element, ...]
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.words)


class Page(HTMLParser):
    """All elements in order; an element that is closed by another's tag is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open, [element.name for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        element = Element(tag, values, tuple(self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].name == tag, f"</{tag}> closes <{self._open[-1].name}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.words.append(data)

    def all(self, name: str, within: str | None = None, **attributes: str) -> list[Element]:
        """Elements of a name with these attributes, inside the element of an id."""
        return [
            element
            for element in self.elements
            if element.name == name
            and all(element.attributes.get(key) == value for key, value in attributes.items())
            and (within is None or any(e.attributes.get("id") == within for e in element.within))
        ]

    def one(self, name: str, **attributes: str) -> Element:
        (element,) = self.all(name, **attributes)
        return element

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script reads."""
        return json.loads(self.one("script", id="page-data").text)

    def cells(self, within: str) -> list[str]:
        """The words of all cells of tables inside the element of an id."""
        return [e.text for e in self.elements if e.name in ("th", "td")
                and any(o.attributes.get("id") == within for o in e.within)]  # fmt: skip
