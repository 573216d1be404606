"""What a table prints."""

import io

from rich.console import Console


def printed(show, width=80, **settings):
    stream = io.StringIO()
    show(Console(file=stream, width=width, **settings))
    return stream.getvalue()
