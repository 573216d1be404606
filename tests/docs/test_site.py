"""The built site, opened from a folder in Debian's Chromium, without a network."""

import contextlib
import functools
import http.server
import shutil
import subprocess
import sys
import threading

import pytest
import yaml

from tests.docs.pages import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytest.importorskip("material", reason="mkdocs-material is not installed (extra docs): make docs")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: apt-get install chromium"
)
PATIENCE_MS = 120_000
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


@NEEDS_CHROMIUM
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
            page.goto(file.as_uri())
            assert page.inner_text("h1")
            assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
        browser.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file://", "data:", "blob:"))] == []


@contextlib.contextmanager
def chromium_page():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=False)
        page = browser.new_page(viewport=DESKTOP)
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


@contextlib.contextmanager
def served(site, below=""):
    """The site on loopback, by a server that answers unknown addresses with 404.html.

    ``below``: the path of the folder that it is served in, such as ``/efficiency-bench``.
    """

    class Handler(http.server.SimpleHTTPRequestHandler):
        def translate_path(self, path):
            inside = path.startswith(f"{below}/")
            return super().translate_path(path.removeprefix(below) if inside else "/none")

        def send_error(self, code, message=None, explain=None):
            self.send_response(code)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write((site / "404.html").read_bytes())

        def log_message(self, *words):
            pass

    handler = functools.partial(Handler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{below}"
        server.shutdown()


@NEEDS_CHROMIUM
@pytest.mark.parametrize("opened", ["from a folder", "from a server"])
def test_the_search_finds_a_section_and_opens_it(site, opened):
    with contextlib.ExitStack() as stack:
        page = stack.enter_context(chromium_page())
        folder = opened == "from a folder"
        base = site.as_uri() if folder else stack.enter_context(served(site))
        page.goto(f"{base}/limits.html")
        page.locator("input.md-search__input").press_sequentially("preempted")
        found = page.locator("a.md-search-result__link")
        found.first.wait_for()
        addresses = {link.get_attribute("href").split("?")[0] for link in found.all()}
        assert any(address.endswith("cluster.html") for address in addresses)
        found.first.click()
        page.wait_for_url(lambda address: "limits.html" not in address)
        assert "preempt" in page.inner_text("article").lower()


@NEEDS_CHROMIUM
def test_the_404_page_leads_back_from_any_depth_and_from_a_folder(site):
    with (
        chromium_page() as page,
        served(site) as address,
        served(site, "/efficiency-bench") as project,
    ):
        for base, missing in (
            (address, "no/such/page.html"),
            (address, "gone"),
            (project, "no/such/page.html"),
            (project, "gone"),
            (site.as_uri(), "404.html"),
        ):
            page.goto(f"{base}/{missing}", wait_until="networkidle")
            assert page.inner_text("h1") == "There is no such page"
            page.get_by_role("link", name="Limits", exact=True).click()
            page.wait_for_url(f"{base}/limits.html")
            assert "Not done" in page.inner_text("article")
