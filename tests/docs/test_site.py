"""The built site, opened from a folder in Debian's Chromium, without a network."""

import shutil
import subprocess
import sys

import pytest
import yaml

from tests.docs.pages import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytest.importorskip("material", reason="the extra docs is not installed: make docs")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a warning of MkDocs is an error, such as a page that nothing lists."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_is_in_the_site(site):
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert {page.stem for page in site.glob("*.html")} == pages | {"404"}
    listed = yaml.safe_dump(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert all(f"{page}.md" in listed for page in pages)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_every_page_opens_without_errors_or_network(site, viewport):
    complaints, requests = [], []
    with sync_api.sync_playwright() as playwright:
        # a test runs as root in CI, where Chromium's own sandbox cannot start
        browser = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=False)
        page = browser.new_page(viewport=viewport)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        for file in sorted(site.glob("*.html")):
            if file.stem == "404":
                continue
            page.goto(file.as_uri())
            assert page.inner_text("h1")
            assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
        browser.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file://", "data:", "blob:"))] == []
