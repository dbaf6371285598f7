"""Plots as they are sent and saved: small for any rows, and true to what was drawn."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import random
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agentnb.core.db import Result
from agentnb.core.errors import UsageError
from agentnb.core.plot.plot import of_rows

MOST = 66_000  # bytes
VEGA = "application/vnd.vegalite.v5+json"
NUMBERS = st.floats() | st.integers(-(2**70), 2**70) | st.sampled_from([1e300, -1e300, 5e-324])
TIMES = st.datetimes() | st.datetimes(timezones=st.just(dt.UTC))
TEXTS = st.builds(lambda text, times: text * times, st.text(min_size=1), st.integers(1, 500))
LONG = ["👨‍👩‍👧" * 50 + str(number) for number in range(20)]
KINDS = ("line", "bar", "hist", "scatter", "box")
AXES = {
    "line": ["number", "time"],
    "hist": ["number", "time"],
    "scatter": ["number", "time"],
    "bar": ["text", "number"],
    "box": ["text"],
}


def column(axis, base, spread, texts, chance):
    """Return 6,000 values, none of them like another where numbers can be."""
    if axis == "text":
        return chance.choices(texts, k=6_000)
    if axis == "number":
        return [base + spread * chance.random() for _ in range(6_000)]
    start = dt.datetime(2026, 1, 1)
    seconds = chance.choice([0.01, 9_999, 10**9])  # 9,999 seconds are the longest in milliseconds
    return [start + dt.timedelta(seconds=chance.random() * seconds) for _ in range(6_000)]


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    base=st.floats(allow_nan=False, allow_infinity=False),
    spread=st.floats(allow_nan=False, allow_infinity=False),
    texts=st.lists(TEXTS, min_size=1, max_size=100),
    name=TEXTS,
    seed=st.integers(0, 100),
)
@example(base=-1.2345678901234567e15, spread=1e15, texts=LONG, name="👨‍👩‍👧" * 900, seed=1)
@example(base=1e12 + 0.1, spread=1.0, texts=['"' * 60 + str(n) for n in range(99)], name='"' * 99,
         seed=2)  # fmt: skip
@example(
    base=0.1, spread=1e-15, texts=["\x00\x1b[31m\ud800", "\u202eabc", " "], name="\x07", seed=3
)
def test_a_plot_of_any_rows_is_small_and_can_be_read(kind, base, spread, texts, name, seed):
    chance = random.Random(seed)
    for axis in AXES[kind]:
        x = column(axis, base, spread, texts, chance)
        y = column("number", base, spread, texts, chance)
        colors = column("text", 0, 0, texts, chance)
        columns = (f"x{name}", f"y{name}", f"c{name}")
        made = of_rows(
            columns, list(zip(x, y, colors, strict=True)), columns[0],
            None if kind == "hist" else columns[1], None if kind == "box" else columns[2], kind,
        )  # fmt: skip
        bundle, _ = made._repr_mimebundle_()
        sent = json.dumps(bundle[VEGA], ensure_ascii=False, allow_nan=False).encode()
        assert len(sent) < MOST
        assert len(bundle["image/svg+xml"].encode()) < MOST
        assert ET.fromstring(bundle["image/svg+xml"]).get("aria-label") == made.caption
        assert len(bundle["text/plain"].encode()) < MOST
        shown = bundle["text/plain"].replace("\n", "")
        assert all(one.isprintable() or one in "\u200c\u200d" for one in shown)


@settings(max_examples=50, deadline=None)
@given(
    rows=st.one_of(
        [
            st.lists(st.tuples(x, NUMBERS | st.none(), st.text()), min_size=1)
            for x in (NUMBERS, TIMES, st.text())
        ]
    )
)
@pytest.mark.parametrize("kind", [*KINDS, None])
def test_any_values_are_drawn_or_refused(kind, rows):
    y = None if kind == "hist" else "y"
    color = None if kind == "box" else "c"
    try:
        made = Result(["x", "y", "c"], rows).plot("x", y, color=color, kind=kind)
    except UsageError:
        return
    bundle, _ = made._repr_mimebundle_()
    json.dumps(bundle[VEGA], allow_nan=False)
    assert ET.fromstring(bundle["image/svg+xml"]) is not None


def written(milliseconds, form):
    """Return a time as the page writes it."""
    form = form.replace("%L", f"{milliseconds % 1_000:03.0f}")
    return (dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=milliseconds)).strftime(form)


def values(spec):
    """Return the rows that Vega makes of a specification."""
    table = csv.DictReader(io.StringIO(spec["data"]["values"]))
    assert spec["data"]["format"] == {
        "type": "csv", "parse": dict.fromkeys(table.fieldnames or (), "number"),
    }  # fmt: skip
    found = [{name: float(one) for name, one in row.items()} for row in table]
    for step in spec["transform"]:
        for row in found:
            if "calculate" in step:
                expression = step["calculate"]
                for name, one in row.items():
                    expression = expression.replace(f"datum.{name}", repr(one))
                row[step["as"]] = eval(expression, {"utcFormat": written})
            else:
                source = step["from"]
                [match] = [o for o in source["data"]["values"] if o["n"] == row[step["lookup"]]]
                row |= {name: match[name] for name in source["fields"]}
    return found


START = dt.datetime(2026, 1, 1)
COLUMNS = ("n", "r", "moment", "city")
ROWS = [
    (
        1e9 + (number * 37 % 100) / 4,
        (number * 7919 % 1_000) / 8,
        START + dt.timedelta(hours=number, seconds=number % 7),
        f"{'a town with a long name' * 3} {number % 7}",
    )
    for number in range(2_000)
]


@pytest.mark.parametrize(("x", "y", "color", "kind"), [
    ("n", "r", "city", "line"), ("moment", "r", None, "line"), ("moment", None, "city", "hist"),
    ("n", None, None, "hist"), ("n", "r", "city", "scatter"), ("city", "r", "city", "bar"),
])  # fmt: skip
def test_the_numbers_of_the_drawing_are_those_that_were_made(x, y, color, kind):
    made = Result(COLUMNS, ROWS).plot(x, y, color=color, kind=kind)
    points = made._drawn.points
    found = values(made.spec)
    assert len(found) == len(points) > 6
    time = 1_000 if x == "moment" else 1
    for name, wanted in (("x", "x"), ("end", "end"), ("y", "y")):
        if name not in found[0] or (kind == "bar" and name == "x"):
            continue
        numbers = [getattr(point, wanted) * (time if name != "y" else 1) for point in points]
        width = max(numbers) - min(numbers)
        for row, number in zip(found, numbers, strict=True):
            assert abs(row[name] - number) <= width / 10_000
    names = {}
    for row, point in zip(found, points, strict=True):
        if color:
            assert names.setdefault(row["color"], point.color) == point.color
        if kind == "bar":
            assert names.setdefault(row["x"], point.x) == point.x
    assert len(names) == (7 if color else 0)


def test_short_numbers_stay_what_they_are_in_tooltips():
    rows = [(n / 4, n) for n in range(100)]
    made = Result(["a", "b"], rows).plot("a", "b", kind="scatter")
    assert [(row["x"], row["y"]) for row in values(made.spec)] == rows


@pytest.mark.parametrize(("hours", "first", "last"), [
    (1, "2026-01-01 00:00:00.000", "2026-01-01 01:00:00.000"),
    (24 * 300, "2026-01-01 00:00", "2026-10-28 00:00"),
    (24 * 30_000, "2026-01-01", "2108-02-21"),
    (24 * 30_000 + 20, "2026-01-01", "2108-02-21"),
])  # fmt: skip
def test_a_tooltip_has_a_time_as_exactly_as_it_was_kept(hours, first, last):
    rows = [(START, 1), (START + dt.timedelta(hours=hours), 2)]
    made = Result(["a", "b"], rows).plot("a", "b", kind="scatter")
    assert [row["moment"] for row in values(made.spec)] == [first, last]
    [shown, *_] = made.spec["encoding"]["tooltip"]
    assert (shown["field"], shown["title"]) == ("moment", "a")
    bins = Result(["a", "b"], rows).plot("a", color="b").spec
    assert values(bins)[0]["moment"].startswith(f"{first} to ")
    assert [one["field"] for one in bins["encoding"]["tooltip"]] == ["moment", "y", "color"]
    # Without both, Vega-Lite draws lines where bars should stand.
    assert bins["encoding"]["x2"] == {"field": "end"}
    assert bins["encoding"]["x"]["bin"] == {"binned": True}


def test_bars_of_colors_are_stacked_within_the_drawing():
    rows = [(n % 50, color, -1 if color == "c" else 1) for n in range(500) for color in "abc"]
    result = Result(["n", "color", "y"], rows)
    for made in (
        result.plot("n", color="color"), result.plot("n", "y", color="color", kind="bar"),
    ):  # fmt: skip
        root = ET.fromstring(made.svg)
        paths = [one.get("d") for one in root.iter("{http://www.w3.org/2000/svg}path")]
        assert len(paths) == 3
        edges = [
            (float(y), float(y) + float(height))
            for path in paths
            for y, height in re.findall(r"M[\d.]+ ([-\d.]+)h[\d.]+v([\d.]+)", path)
        ]
        assert min(top for top, _ in edges) == 12.0
        assert max(bottom for _, bottom in edges) == 320.0 - 92.0


def test_categories_that_begin_alike_stay_apart():
    rows = [("town " * 20 + end, 1) for end in ("Oslo", "Rome")]
    made = Result(["a", "b"], rows).plot("a", "b")
    assert len({row["x"] for row in values(made.spec)}) == 2
    boxes = Result(["a", "b"], rows).plot("a", "b", kind="box").spec["data"]["values"]
    assert len({box["x"] for box in boxes}) == 2
    assert repr(made).count(" 1\n") == 2
