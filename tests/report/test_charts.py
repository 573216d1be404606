"""The chart: what it draws, and that its files are self-contained."""

import re
import xml.etree.ElementTree as ET

import pytest

from efficiency_bench.errors import UserError
from efficiency_bench.report.charts.halving_chart import halving_chart, write_chart
from tests.report import results

RESULT = results.rehearsal()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_chart(RESULT, tmp_path_factory.mktemp("chart") / "new")


def layers(result):
    return halving_chart(result).to_dict()["layer"]


def values_of(kind, result=RESULT):
    spec = halving_chart(result).to_dict()
    (layer,) = [la for la in spec["layer"] if la["mark"]["type"] == kind]
    return layer["data"].get("values") or spec["datasets"][layer["data"]["name"]]


def test_png_svg_and_html_are_written(written):
    png, svg, html = written
    assert [path.name for path in written] == ["halving.png", "halving.svg", "halving.html"]
    header = png.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(header[16:20], "big") > 1400  # twice 720 px and the axis
    text = " ".join(ET.parse(svg).getroot().itertext())
    assert "not shown to halve" in text
    assert "digits, top-1 97.13 %" in text
    assert html.stat().st_size > 100_000


def test_the_chart_page_loads_nothing_from_the_network(written):
    page = written[2].read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert not re.search(r"import\s*\(?\s*[\"']https?:", page)
    assert "vega" in page


def test_every_dated_row_is_a_point_at_its_compute():
    points = {point["name"]: point for point in values_of("point")}
    assert points.keys() == {row["model"] for row in RESULT.rows}
    for row in RESULT.rows:
        point = points[row["model"]]
        assert point["compute"] == (row["compute"] if row["reached"] else row["compute_spent"])


def test_missed_and_reached_targets_look_different():
    kinds = {point["name"]: point["kind"] for point in values_of("point")}
    assert kinds.pop("efficientnet_b0").startswith("target not reached")
    assert set(kinds.values()) <= {"frontier", "other model"}


def test_seeds_are_drawn_as_a_range():
    spans = {point["name"]: (point["low"], point["high"]) for point in values_of("rule")}
    low, high = spans["vgg11"]
    assert high / low == pytest.approx(13_400 / 10_500)
    low, high = spans["alexnet"]
    assert low == high  # every seed was charged the whole schedule


def test_moores_law_starts_at_the_first_row_and_halves_in_two_years():
    result = results.published()
    law = [point for point in values_of("line", result) if point["line"].startswith("Moore")]
    assert (law[0]["date"], law[0]["compute"]) == ("2012-06-01", 3.1)
    # 2551 days are 83.81 months: 2 ** (83.81 / 24) = 11.3
    assert law[0]["compute"] / law[-1]["compute"] == pytest.approx(11.26, abs=0.02)


def test_the_axis_shows_all_points_and_clips_an_unbounded_band():
    for result in (results.published(), RESULT, results.of_computes(8.0, 6.0, 2.0)):
        points = values_of("point", result)
        (layer,) = [la for la in layers(result) if la["mark"]["type"] == "point"]
        low, high = layer["encoding"]["y"]["scale"]["domain"]
        computes = [point["compute"] for point in points]
        assert low < min(computes) <= max(computes) < high
        assert high / low < 3 * max(computes) / min(computes)


def test_an_unwritable_folder_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the chart"):
        write_chart(RESULT, tmp_path / "file" / "charts")
