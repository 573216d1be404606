"""The page in a real browser: Debian's Chromium, headless, driven by Playwright."""

import re
import shutil
from contextlib import contextmanager

import pytest

from tests.once import made_once
from tests.report.page_ledger import HOSTILE, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"
)

DRAWN_MS = 120_000
"""A generous limit for a loaded machine; the page says when its charts are drawn."""

DESKTOP, PHONE = {"width": 1200, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return (made_once(tmp_path_factory, "page", write_report) / "new/report/index.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        # a test runs as root in CI, where Chromium's own sandbox cannot start
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=False)
        yield chromium
        chromium.close()


@contextmanager
def opened(browser, url, viewport=DESKTOP, scheme="light"):
    """The page with all its charts drawn; any complaint or request of it is an error."""
    page = browser.new_page(viewport=viewport, color_scheme=scheme)
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(url)
    page.wait_for_selector("html[data-drawn]", timeout=DRAWN_MS)
    yield page
    page.close()
    assert complaints == []
    assert requests == [url]


def test_it_draws_every_chart_without_network_requests(browser, url):
    with opened(browser, url) as page:
        charts = page.query_selector_all("[data-chart]")
        assert len(charts) == 4
        assert all(chart.query_selector("svg") for chart in charts)
        assert page.query_selector("img, iframe") is None
        # of the measured set's seven rows five are reached and dated, and one is dated and missed
        points = page.query_selector_all("[data-chart$='top-1-90-compute'] .mark-symbol path")
        assert len([p for p in points if p.get_attribute("aria-roledescription") == "point"]) == 6


def test_a_tooltip_names_the_source_of_a_point(browser, url):
    with opened(browser, url) as page:
        page.hover("[data-chart$='top-1-90-compute'] path[aria-label*='network: m0']")
        text = page.wait_for_selector("#vg-tooltip-element.visible").inner_text()
        for words in ("m0", "2012-01-01", "measured here", "0123456789", "a quiet CPU"):
            assert words in text


def shown(page, selector):
    return [e for e in page.query_selector_all(selector) if e.is_visible()]


def test_filters_hide_runs_and_sets_but_change_no_number(browser, url):
    with opened(browser, url) as page:
        headline = page.inner_text(".part-headline")
        assert len(shown(page, ".run")) == 23
        page.select_option("select[name=tier]", "measured")
        assert len(shown(page, ".run")) == 7
        assert len(shown(page, ".set")) == 1
        page.select_option("select[name=suite]", "smoke")
        assert len(shown(page, ".run")) == 3
        assert "3 of 23 runs" in page.inner_text("#shown")
        assert page.inner_text(".part-headline") == headline
        page.select_option("select[name=data]", "imagenet")
        assert shown(page, ".run") == shown(page, ".set") == []
        for name in ("tier", "suite", "data"):
            page.select_option(f"select[name={name}]", "")
        assert len(shown(page, ".run")) == 23


def test_the_keyboard_filters_and_opens_a_row(browser, url):
    with opened(browser, url) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") == "suite"
        page.keyboard.press("ArrowDown")
        assert "of 23 runs shown" in page.inner_text("#shown")
        summary = "document.activeElement.matches('.run summary')"
        for _ in range(200):
            page.keyboard.press("Tab")
            if page.evaluate(summary):
                break
        assert page.evaluate(summary)
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        page.wait_for_selector(".run[open] .opened dl")


def test_a_row_opens_to_its_curve_its_log_and_its_configuration(browser, url):
    with opened(browser, url) as page:
        page.click(".run[data-run=m0] summary")
        row = page.wait_for_selector(".run[data-run=m0] .opened")
        row.wait_for_selector("svg")
        text = row.inner_text()
        assert "events/m0.jsonl.gz" in text
        assert f"note: {HOSTILE}" in text
        assert "versions.python: 3.11.7" in text
        assert "all its evaluations" in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_horizontal_scrolling(browser, url, scheme):
    with opened(browser, url, PHONE, scheme) as page:
        for summary in page.query_selector_all("summary"):
            summary.click()
        # by locator: to poll a function, the page would have to evaluate it, and its policy forbids
        charts = page.locator(".run[open] svg")
        sync_api.expect(charts).to_have_count(7, timeout=DRAWN_MS)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        for chart in page.query_selector_all("[data-chart] svg"):
            box = chart.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= PHONE["width"]


def test_dark_mode_applies_to_page_and_charts(browser, url):
    with opened(browser, url, scheme="dark") as page:
        colour = "e => getComputedStyle(e).{}"
        body = page.query_selector("body").evaluate(colour.format("backgroundColor"))
        assert brightness(body) < 50
        labels = page.query_selector_all("[data-chart] text:not([stroke])")  # no halos
        assert len(labels) > 30
        for label in labels:
            assert brightness(label.evaluate(colour.format("fill"))) > 150, label.inner_html()


def brightness(colour):
    """Mean of red, green and blue."""
    parts = [int(part) for part in re.findall(r"\d+", colour)[:3]]
    return sum(parts) / 3
