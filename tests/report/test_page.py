"""The page: its structure, its numbers, and that text from a ledger never becomes markup."""

import base64
import hashlib
import io
import itertools
import re
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from efficiency_bench.errors import UserError
from efficiency_bench.fitting.groups import Selection
from efficiency_bench.fitting.halving import halving_time
from efficiency_bench.fitting.rows import fit_rows
from efficiency_bench.ledger.reference import published_entries
from efficiency_bench.report.charts.style import ON_DARK
from efficiency_bench.report.page.page import chart_library, template_text, write_page
from efficiency_bench.report.tables.fit_and_ledger import fit_table
from tests.ledger.factory import make_baseline, make_entry, make_rung
from tests.once import made_once
from tests.report.page_ledger import HOSTILE, MONTHS, write_report
from tests.report.page_reader import Page

MEASURED, PUBLISHED = "1-digits-top-1-90", "2-imagenet-top-5-79-1"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(path of the page, the page read) of a ledger with two sets."""
    path = made_once(tmp_path_factory, "page", write_report) / "new/report/index.html"
    return path, Page(path.read_text(encoding="utf-8"))


def test_headings_go_down_one_step_at_a_time(written):
    page = written[1]
    assert page.one("html").attributes["lang"] == "en"
    assert page.one("title").text
    levels = [int(e.name[1]) for e in page.elements if re.fullmatch(r"h[1-6]", e.name)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_tables_charts_and_filters_say_what_they_are(written):
    page = written[1]
    tables = page.all("table")
    assert len(page.all("caption")) == len(tables) > 10
    assert all(head.attributes["scope"] in ("col", "row") for head in page.all("th"))
    charts = page.all("div", **{"class": "chart"})
    assert len(charts) == 4  # three of the measured set; the published rows have no curves
    assert all(len(chart.attributes["aria-label"]) > 40 for chart in charts)
    for select in page.all("select"):
        assert select.within[-1].name == "label"
    ids = [e.attributes["id"] for e in page.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        target = link.attributes["href"]
        assert target[1:] in ids if target[0] == "#" else (written[0].parent / target).is_file()


def test_sections_are_in_order(written):
    names = ["headline", "compute", "curves", "split", "sweep", "conventions", "currencies"]
    for slug in (MEASURED, PUBLISHED):
        found = [e.attributes["id"] for e in written[1].all("section", within=slug)]
        assert found == [f"{slug}-{name}" for name in [*names, "account"]]
    assert [e.attributes["id"] for e in written[1].all("section")[-2:]] == ["runs", "words"]


def test_nothing_is_loaded_from_outside(written):
    page = written[1]
    for element in page.elements:
        assert element.name not in ("link", "img", "iframe", "object", "embed", "base")
        assert "src" not in element.attributes
        assert not any(name.startswith("on") for name in element.attributes)
    assert "url(" not in page.one("style").text
    assert "@import" not in page.one("style").text


def test_the_policy_allows_these_scripts_and_no_network(written):
    page = written[1]
    (policy,) = [e for e in page.all("meta") if "http-equiv" in e.attributes]
    rules = dict(rule.split(" ", 1) for rule in policy.attributes["content"].split("; "))
    assert rules["default-src"] == "'none'"
    assert not {"connect-src", "img-src", "font-src", "frame-src"} & rules.keys()
    running = [s for s in page.all("script") if s.attributes.get("type") != "application/json"]
    digests = [hashlib.sha256(script.text.encode()).digest() for script in running]
    allowed = {f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests}
    assert set(rules["script-src"].split()) == allowed
    assert len(allowed) == 2


def test_the_planted_rate_is_the_headline(written):
    text = written[1].one("section", id=f"{MEASURED}-headline").text
    # five rows lie on the line; the one that missed lies above it and tilts the regression
    assert f"least squares on the frontier, n = 5: halving, {MONTHS:.1f} months" in text
    assert "Compute to digits, top-1 90 %: halves every 14.0 months" in text
    assert "5 of 6 rows arrived at the target" in text
    assert "digits is not ImageNet" in text


def test_the_published_rows_show_the_published_result(written):
    text = written[1].one("section", id=f"{PUBLISHED}-headline").text
    for words in ("15.7 months", "13.2-19.3", "44.9x"):
        assert words in text


def test_both_sets_stand_side_by_side(written):
    """The measured one has the row that missed; 2020's is its published frontier."""
    page = written[1]
    table = page.all("table")[0]
    lines = [line for line in page.all("tr") if table in line.within][1:]
    found = [[e.text for e in page.elements if e.within and e.within[-1] is line] for line in lines]
    assert [cells[0] for cells in found] == ["digits, top-1 90 %", "imagenet, top-5 79.1 %"]
    assert found[0][1] == "14.0"
    assert found[0][-2:] == ["5", "6"]
    assert found[1][1:4] == ["15.7", "13.2-19.3", "44.9x"]


def test_the_table_matches_the_terminals(written):
    halving = halving_time(fit_rows(published_entries(), Selection()))
    stream = io.StringIO()
    Console(file=stream, width=200).print(fit_table(halving))
    printed = " ".join(stream.getvalue().split())
    page = written[1]
    rows = [row for row in page.all("tr", within=f"{PUBLISHED}-compute") if "20" in row.text]
    shown = [[c.text for c in page.elements if c.within and c.within[-1] is row] for row in rows]
    networks = [cells for cells in shown if len(cells) == 7]
    assert len(networks) == 16
    strong = [row.text for row in rows if row.attributes.get("class") == "strong"]
    assert sorted(strong) == sorted(row.text for row in rows if row.text.startswith("*"))
    assert len(strong) == 6  # the frontier
    for cells in networks:
        assert " ".join(" ".join(cells).split()) in printed


def test_a_row_that_missed_its_target_is_marked(written):
    cells = written[1].cells(f"{MEASURED}-compute")
    name = next(i for i, cell in enumerate(cells) if cell.strip() == "slow")
    assert cells[name + 2].startswith("> ")


def test_text_from_a_ledger_never_becomes_markup(written):
    path, page = written
    assert len(page.all("script")) == 3
    assert "7*7" in page.one("section", id="runs").text
    assert HOSTILE in page.one("section", id="runs").text
    assert page.data["runs"]["hostile"]["facts"][2] == f"schedule; {HOSTILE}"
    note = page.data["runs"]["m0"]["config"]["note"]
    assert page.data["shared"][note] == HOSTILE
    assert path.read_text(encoding="utf-8").count("<img") == chart_library().count("<img")


def test_each_run_opens_to_its_details(written):
    runs = written[1].data["runs"]
    listed = [
        e.attributes["data-run"] for e in written[1].all("details") if "data-run" in e.attributes
    ]
    assert sorted(listed) == sorted(runs)
    log = written[1].data["facts"].index("event log")
    assert runs["m0"]["facts"][log].endswith("ledger/events/m0.jsonl.gz")
    assert runs["published-resnet18"]["facts"][log] == "none in this ledger"
    assert {runs[f"m{i}"]["suite"] for i in range(5)} == {"card", "smoke"}
    epochs, accuracy = runs["m0"]["curve"]
    assert len(epochs) == len(accuracy) == 30
    assert runs["published-resnet18"]["curve"] == []


def test_the_charts_are_images_too(written):
    folder = written[0].parent
    names = {path.stem for path in folder.glob("*.png")}
    charts = {
        e.attributes["data-chart"] for e in written[1].elements if "data-chart" in e.attributes
    }
    assert names == {path.stem for path in folder.glob("*.svg")} == charts
    for path in folder.glob("*.png"):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    drawn = ET.parse(folder / f"{MEASURED}-curves.svg").getroot()
    assert "target 90 %" in " ".join(drawn.itertext())


def test_a_set_without_a_fit_gives_the_reason(tmp_path):
    entries = [make_baseline("own"), make_entry("alone")]
    page = Page(write_page(entries, "some", tmp_path).read_text(encoding="utf-8"))
    (missing, *_) = [e.text for e in page.all("p") if e.attributes.get("class") == "missing"]
    assert "a fit needs at least 3 rows" in missing
    assert len(page.all("details", **{"class": "run"})) == 2


def test_budgeted_runs_without_a_level_are_named_and_stop_nothing(tmp_path):
    html = write_page([make_rung("rung", 0.25)], "some", tmp_path).read_text(encoding="utf-8")
    assert "Not in a set: 1 budgeted run on" in html
    assert len(Page(html).all("details", **{"class": "run"})) == 1


def test_an_unwritable_folder_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_page(published_entries(), "published", tmp_path / "file" / "report")


def luminance(colour):
    """WCAG 2: relative luminance of ``#rrggbb``."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_contrast_meets_wcag_aa():
    blocks = re.findall(r":root \{([^}]*)\}", template_text("page.css"))
    assert len(blocks) == 2
    for block in blocks:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", block))
        for name in ("ink", "soft", "accent"):
            for paper in ("paper", "wash"):
                assert contrast(colours[name], colours[paper]) >= 4.5, (name, paper)
    light_paper, light_line = "#FFFFFF", "#DDDDDD"
    for light, dark in ON_DARK.items():
        if light == light_line:
            continue
        limit = 3.0 if light == "#D55E00" else 4.5  # marks need 3, words 4.5
        if light != light_paper:
            assert contrast(light, light_paper) >= limit, light
            assert contrast(dark, ON_DARK[light_paper]) >= limit, dark
