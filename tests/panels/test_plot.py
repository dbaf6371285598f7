from __future__ import annotations

import math
import re

import pytest

from agentnb.panels import Plot


@pytest.fixture
def plot():
    made = Plot("Rate", "per s", points=4)
    yield made
    made.close()


def test_the_newest_values_are_kept_and_the_oldest_forgotten(plot):
    for value in range(6):
        plot.add(value)
    assert plot.values == [2, 3, 4, 5]
    assert plot.state()["values"] == [2, 3, 4, 5]


def test_what_is_no_number_is_a_gap(plot):
    for value in (1, None, math.nan, math.inf):
        plot.add(value)
    assert plot.values == [1, None, None, None]
    assert plot.static_text() == "Rate: 1 per s"


def test_one_value_is_sent_for_one_that_is_added(plot):
    sent = []
    plot.widget.send = sent.append
    plot.add(0.1234567)
    plot.add(None)
    assert sent == [{"v": 1, "add": 0.1235}, {"v": 2, "add": None}]


def test_a_view_that_missed_something_is_sent_everything(plot):
    sent = []
    plot.add(3)
    plot.widget.send = sent.append
    plot._received(None, {"do": "full"}, None)
    plot._received(None, {"do": "nonsense"}, None)
    assert sent == [{"v": 1, "full": plot.state()}]


def test_without_a_value_it_says_so(plot):
    plot.add(None)
    assert plot.static_text() == "Rate: nothing yet"
    assert plot.static_html() == "<p>Rate: nothing yet</p>"


def test_the_saved_picture_has_a_line_for_each_run_of_values(plot):
    for value in (0, 50, None, 80):
        plot.add(value)
    html = plot.static_html()
    assert 'role="img" aria-label="Rate: 80 per s, between 0 per s and 80 per s"' in html
    path = re.search(r' d="([^"]*)"', html)[1]
    # On a scale up to 100, of 60 pixels with one to spare: a line, a gap, a dot.
    assert path == "M0.0 59.0L200.0 30.0M596.0 12.6h4"


def test_html_in_a_label_stays_text():
    plot = Plot("<img src=x>")
    plot.add(1)
    assert "<img" not in plot.static_html()
    plot.close()


@pytest.mark.parametrize(
    ("values", "top"), [([], 1), ([0], 1), ([0.3], 0.5), ([7], 10), ([10], 10), ([1001], 2000)]
)
def test_the_scale_ends_at_a_round_number(plot, values, top):
    assert plot._top(values) == pytest.approx(top)


def test_a_fixed_scale_stays():
    plot = Plot("Share", "%", high=100)
    plot.add(3)
    assert plot._top(plot.values) == 100
    plot.close()


def test_one_value_alone_can_be_seen_and_its_scale_is_no_range(plot):
    plot.add(7)
    assert plot.static_text() == "Rate: 7 per s"
    path = re.search(r' d="([^"]*)"', plot.static_html())[1]
    assert re.fullmatch(r"M[\d.]+ [\d.]+h[1-9]", path)
