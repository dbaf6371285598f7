"""Plots of results: the same numbers from rows in memory and from each database."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest

from agentnb.core.db import Database, Result
from agentnb.core.errors import NotFoundError, QueryRejected, UsageError
from agentnb.core.plot.asked import asked
from agentnb.core.plot.memory import axis_of, draw
from agentnb.core.plot.svg import GREY

HOSTILE = "</svg><script>alert(1)</script>\" onload='x' & <b>"
COLUMNS = ("n", "r", "moment", "city", "kind")


def rows(count=2_000):
    chance = random.Random(7)
    start = dt.datetime(2026, 1, 1)
    return [
        (
            chance.randrange(100) if number % 9 else None,
            chance.choice([chance.random() * 50, None, 3.5]),
            start + dt.timedelta(hours=number),
            chance.choice(["Oslo", "Rome", HOSTILE, None, f"town {number % 50}"]),
            f"kind {number % 25}",
        )
        for number in range(count)
    ]


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def db(request):
    url = {
        "sqlite": lambda: "sqlite://",
        "duckdb": lambda: "duckdb:///:memory:",
        "postgresql": lambda: request.getfixturevalue("fresh_url"),
    }[request.param]()
    with Database(url) as database:
        database.load([dict(zip(COLUMNS, row, strict=True)) for row in rows()], "t")
        yield database


def in_memory(x, y, color, kind):
    found = rows()
    axes = {name: axis_of(row[place] for row in found) for place, name in enumerate(COLUMNS)}
    return draw(asked(COLUMNS, axes, x, y, color, kind), COLUMNS, found)


@pytest.mark.parametrize(("x", "y", "color", "kind"), [
    ("n", None, None, None), ("n", "r", None, None), ("moment", "r", None, None),
    ("moment", None, None, None),
    ("city", "n", None, None), ("city", None, None, None), ("city", "r", None, "box"),
    ("n", "r", None, "scatter"), ("moment", "r", "kind", "line"), ("city", "n", "kind", "bar"),
    ("n", None, "kind", "hist"), ("kind", "r", None, "bar"),
])  # fmt: skip
def test_a_database_makes_the_numbers_that_its_rows_have(db, x, y, color, kind):
    wanted = in_memory(x, y, color, kind)
    made = db.plot("select * from t order by moment", x, y, color=color, kind=kind)
    assert made.caption == wanted.caption
    found = made._drawn
    assert (found.rows, found.left_out, found.categories) == (
        wanted.rows, wanted.left_out, wanted.categories,
    )  # fmt: skip
    key = lambda one: (str(one.x) if isinstance(one.x, str) else round(one.x, 3), one.color or "")  # noqa: E731 - short
    assert len(found.points) == len(wanted.points)
    assert wanted.points or wanted.boxes
    for one, other in zip(
        sorted(found.points, key=key), sorted(wanted.points, key=key), strict=True
    ):
        assert (one.color, key(one)) == (other.color, key(other))
        assert math.isclose(one.y, other.y, rel_tol=1e-6)
    for one, other in zip(found.boxes, wanted.boxes, strict=True):
        assert one == other


def test_a_histogram_is_that_of_numpy_and_its_bars_are_all_rows():
    numpy = pytest.importorskip("numpy")
    values = [random.Random(3).randrange(1_000) for _ in range(100)] + list(range(400))
    made = Result(["n"], [(value,) for value in values]).plot("n")
    counts, edges = numpy.histogram(values, 40)
    assert [point.y for point in made._drawn.points] == [c for c in counts.tolist() if c]
    assert sum(point.y for point in made._drawn.points) == len(values)
    assert math.isclose(made._drawn.points[0].x, edges[0])


@pytest.mark.parametrize("kind", ["line", "bar", "hist", "scatter", "box"])
def test_every_form_is_drawn_three_times_and_shows_hostile_text_as_text(kind):
    x = {"line": "moment", "hist": "n", "scatter": "n"}.get(kind, "city")
    y = None if kind == "hist" else "r"
    color = None if kind == "box" else "city"
    made = Result(COLUMNS, rows()).plot(x, y, color=color, kind=kind)
    bundle, _ = made._repr_mimebundle_()
    spec = bundle["application/vnd.vegalite.v5+json"]
    assert len(json.dumps(spec, allow_nan=False)) < 1_000_000
    assert ET.fromstring(bundle["image/svg+xml"]).get("role") == "img"
    assert "<script>" not in bundle["image/svg+xml"]
    assert "onload='" not in bundle["image/svg+xml"]
    assert bundle["text/plain"].endswith(made.caption)
    assert "rows without a value left out" in made.caption or kind == "bar"


def test_a_result_draws_times_that_sqlite_has_as_text_as_its_database_does():
    start = dt.datetime(2026, 1, 1)
    found = [{"t": start + dt.timedelta(hours=n), "d": start.date(), "n": n} for n in range(60)]
    with Database("sqlite://") as database:
        database.load(found, "t")
        result = database.query("select * from t")
        for x in ("t", "d"):
            drawn = database.plot("select * from t", x, "n").spec
            assert drawn["encoding"]["x"]["type"] == "temporal"
            assert result.plot(x, "n").spec == drawn


@pytest.mark.parametrize("kind", ["bar", "box"])
def test_what_is_drawn_has_colors_of_its_own_as_it_keeps_them_when_the_theme_changes(kind):
    made = Result(COLUMNS, rows()).plot("city", "r", kind=kind)
    config = made.spec["config"]
    texts = [
        config[one][f"{part}Color"] for one in ("axis", "legend") for part in ("label", "title")
    ]
    assert {*texts, config["title"]["color"], config["rule"]["color"]} == {GREY}
    assert f"color:{GREY}" in made.svg
    made.spec["config"]["axis"].clear()
    assert made.spec["config"]["axis"]


def test_many_categories_colors_and_points_are_cut_and_said():
    many = Result(["x", "n"], [(f"c{number}", number) for number in range(500)])
    assert (
        many.plot("x", "n").caption
        == "sum of n by x, of 500 rows; the 30 largest of 500 values of x"
    )
    points = Result(["a", "b"], [(n, n) for n in range(12_000)])
    made = points.plot("a", "b", kind="scatter")
    assert made.caption.endswith("3,000 of 12,000 points drawn")
    colors = Result(["a", "b", "c"], [(n, 1, f"c{n % 30}") for n in range(300)])
    made = colors.plot("a", "b", color="c")
    found = {point.color for point in made._drawn.points}
    assert len(found) == 20
    assert made.caption.endswith("of 300 rows; 11 of 30 values of c are 'other'")
    rows = [(n, n, f"c{n % 40}") for n in range(30_000)]
    assert len(Result(["a", "b", "c"], rows).plot("a", "b", color="c")._drawn.points) <= 3_000
    with Database("duckdb://") as db:
        sql = "select range as a, range as b, 'c' || range % 40 as c from range(30000)"
        assert len(db.plot(sql, "a", "b", color="c")._drawn.points) == 3_000
    assert "other" in found


def test_values_that_are_no_finite_numbers_are_left_out_and_counted():
    result = Result(["n"], [(1.0,), (math.nan,), (math.inf,), (None,), (Decimal("2.5"),)])
    assert result.plot("n").caption == "rows by n, of 5 rows; 3 rows without a value left out"
    assert "nothing to draw" in repr(Result(["n"], [(None,)]).plot("n"))
    assert ET.fromstring(Result(["n", "m"], []).plot("n").svg) is not None
    one = Result(["n", "m"], [(5, 5)]).plot("n", "m")
    assert "•" in repr(one)


@pytest.mark.parametrize(("x", "y", "kind", "match"), [
    ("nowhere", None, None, "no column 'nowhere'"), ("n", "city", None, "holds no numbers"),
    ("city", "n", "line", "along x"), ("n", "r", "hist", "no y"),
    ("n", None, "pie", "kind must be"), ("n", None, "box", "has a y"),
    ("n", None, "scatter", "and a y"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused(x, y, kind, match):
    with pytest.raises(UsageError, match=match) as caught:
        Result(COLUMNS, rows(50)).plot(x, y, kind=kind)
    assert caught.value.hint
    with pytest.raises(UsageError, match="no color"):
        Result(COLUMNS, rows(50)).plot("city", "r", color="kind", kind="box")


def test_only_a_query_is_plotted_and_errors_are_those_of_a_query(db):
    with pytest.raises(UsageError, match="only a query is plotted"):
        db.plot("delete from t", "n")
    assert db.query("select count(*) from t").scalar() == 2_000
    with pytest.raises(NotFoundError):
        db.plot("select * from nowhere", "n")
    with pytest.raises(QueryRejected):
        db.plot("select n n n from t", "n")
    with pytest.raises(UsageError, match="no column 'm'"):
        db.plot("select n from t -- a comment", "m")
    made = db.plot("select n from t where n > :least -- a comment", "n", params={"least": 50})
    assert made._drawn.rows < 2_000
    preview = db.query("select n from t", preview=5)
    with pytest.raises(UsageError, match="was cut"):
        preview.plot("n")
