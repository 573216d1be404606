"""What a page carries so that it needs no network: scripts, styles, and a policy that says so."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import resources

import vl_convert

from efficiency_bench.report.charts.style import ON_DARK


@cache
def chart_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, safe inside a script element."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", r"<\/script").replace("\r\n", "\n")


def template_text(name: str) -> str:
    """A file beside the templates, as it is."""
    folder = resources.files("efficiency_bench.report").joinpath("templates")
    return folder.joinpath(name).read_text(encoding="utf-8")


def styles() -> str:
    """The page's style sheet, with the charts' colours on a dark page."""
    swaps = "\n".join(
        f'  .chart svg [{attribute}="{light}"] {{ {attribute}: {dark}; }}'
        for light, dark in ON_DARK.items()
        for attribute in ("fill", "stroke")
    )
    dark = f"@media (prefers-color-scheme: dark) {{\n{swaps}\n}}\n"
    return template_text("page.css") + dark


def policy(scripts: Iterable[str]) -> str:
    """A Content-Security-Policy: these very scripts run, and nothing is ever fetched."""
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
