from __future__ import annotations

import json
import re

import pytest

import agentnb
from agentnb.core.db import Result
from agentnb.core.db.result import Preview
from agentnb.core.errors import UsageError
from agentnb.panels.base.static import packed
from agentnb.panels.grid import make
from agentnb.panels.grid.saved import BYTES, saved_html
from agentnb.panels.grid.wire import DASH
from tests.waiting import until

HOSTILE = "<img src=x onerror=alert(1)>"
COLUMNS = ("id", "city", "eur", "note", "<b>&bold</b>")
CITIES = ("Oslo", "Rome", "Paris", HOSTILE)
MANY = Result(
    COLUMNS,
    [
        (n, CITIES[n % 4], n * n / 10, None if n % 3 == 0 else f"n{n}", n % 2 == 0)
        for n in range(200)
    ],
    statement="select * from sale",
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    home = tmp_path_factory.mktemp("grid") / ".agentnb"
    with agentnb.connect(home=home, start=home.parent, database_url="sqlite://") as hub:
        yield hub


@pytest.fixture
def open_grid(hub):
    """Open a grid whose messages to the page are kept in `sent`, and close it after the test."""
    made = []

    def open_one(result=MANY, **options):
        grid = make(hub, result=result, **options)
        grid.sent = []
        grid.widget.send = grid.sent.append
        made.append(grid)
        return grid

    yield open_one
    for grid in made:
        grid.close()


def ask(grid, **content):
    """Send what a page sends, and return the state once it is answered."""
    grid._received(None, content, None)
    until(lambda: not (grid.model.pending or grid._worker._woken))
    until(lambda: not (grid.state()["busy"] or grid.state()["summing"]))
    return grid.state()


def bar(grid, column, label):
    """Return the message of a click on a bar."""
    state = grid.state()
    bars = state["sums"][str(column)]["bars"]
    at = next(number for text, _, _, number in bars if text == label)
    return {"do": "bar", "column": column, "bar": at, "s": state["s"]}


def span(words):
    """Return words with the dash of a range."""
    return words.replace(" - ", f" {DASH} ").replace("1-20", f"1{DASH}20")


def ids(state):
    return [int(row[0]) for row in state["rows"]]


def test_the_rows_come_first_and_the_summaries_in_a_second_message(open_grid):
    grid = open_grid()
    state = grid.state()
    assert ids(state) == list(range(20))
    assert (state["at"], state["sums"], state["summing"]) == ([0, 20, 200, 200], None, True)
    grid.model.summarize()
    grid._send()
    [message] = grid.sent
    assert set(message["set"]) == {"sums", "s", "summing"}
    sums = message["set"]["sums"]
    assert sums["1"]["words"] == "4 distinct"
    assert [count for _, count, _, _ in sums["1"]["bars"]] == [50] * 4
    assert len(sums["0"]["bars"]) == 20
    assert sums["3"]["nulls"] == 67
    assert re.fullmatch(r"~13\d distinct, 67 null", sums["3"]["words"])


def test_all_that_opens_a_grid_is_below_20_kb(open_grid):
    grid = open_grid()
    opened = [grid.widget.get_state(), grid.widget.layout.get_state()]
    assert len(json.dumps(opened, default=str, ensure_ascii=False).encode()) < 20_000


def test_a_click_on_a_header_sorts_up_then_down_then_no_longer(open_grid):
    grid = open_grid()
    state = ask(grid, do="sort", column=2)
    assert (state["sort"], ids(state)[:2]) == ([2, False], [0, 1])
    state = ask(grid, do="sort", column=2)
    assert (state["sort"], ids(state)[:2]) == ([2, True], [199, 198])
    assert ask(grid, do="sort", column=1)["sort"] == [1, False]
    for _ in range(2):
        state = ask(grid, do="sort", column=1)
    assert (state["sort"], ids(state)) == (None, list(range(20)))


def test_a_bar_filters_and_again_no_longer(open_grid):
    grid = open_grid()
    grid.model.summarize()
    grid._send()
    state = ask(grid, **bar(grid, 1, "Rome"))
    assert state["at"] == [0, 20, 50, 200]
    assert ids(state) == list(range(1, 80, 4))
    assert state["chips"] == [["city: Rome", 1, None]]
    # The other bars stay, to be chosen instead; those of other columns count what is left.
    assert [(text, count) for text, count, _, _ in state["sums"]["1"]["bars"]] == [
        (city, 50) for city in sorted(CITIES)
    ]
    assert state["sums"]["0"]["words"] == span("1 - 197")
    on = state["sums"]["1"]["on"]
    assert state["sums"]["1"]["bars"][on][0] == "Rome"
    state = ask(grid, **bar(grid, 1, "Rome"))
    assert (state["at"], state["chips"]) == ([0, 20, 200, 200], [])
    assert state["sums"]["1"]["on"] is None


def test_a_click_on_bars_that_were_just_replaced_counts(open_grid):
    grid = open_grid()
    grid.model.summarize()
    grid._send()
    click = bar(grid, 1, "Rome")
    assert ask(grid, **click)["at"][2] == 50
    assert grid.state()["s"] > click["s"]
    assert ask(grid, **click)["at"][2] == 200


def test_filters_of_several_columns_hold_together_and_a_chip_removes_its_own(open_grid):
    grid = open_grid()
    grid.model.summarize()
    grid._send()
    ask(grid, **bar(grid, 1, "Oslo"))
    state = ask(grid, do="bar", column=3, bar=-1, s=grid.state()["s"])
    assert [words for words, *_ in state["chips"]] == ["city: Oslo", "note: NULL"]
    assert ids(state)[:3] == [0, 12, 24]
    state = ask(grid, **bar(grid, 1, "Paris"))
    assert [words for words, *_ in state["chips"]] == ["note: NULL", "city: Paris"]
    state = ask(grid, do="remove", chip=0)
    assert [words for words, *_ in state["chips"]] == ["city: Paris"]
    assert ids(state)[:3] == [2, 6, 10]


def test_a_column_of_other_values_is_filtered_by_what_has_one(open_grid):
    grid = open_grid()
    grid.model.summarize()
    grid._send()
    parts = grid.state()["sums"]["3"]
    assert (parts["bars"], parts["nulls"]) == ([["not NULL", 133, True, -2]], 67)
    state = ask(grid, do="bar", column=3, bar=-2, s=grid.state()["s"])
    assert (state["at"][2], state["chips"]) == (133, [["note: not NULL", 3, None]])


def test_values_of_other_kinds_are_counted_though_they_are_one_bar(open_grid):
    grid = open_grid(Result(["raw"], [(bytes([n % 50]),) for n in range(100)]))
    grid.model.summarize()
    grid._send()
    parts = grid.state()["sums"]["0"]
    assert (parts["bars"], parts["words"]) == ([["values", 100, True, 0]], "~50 distinct")


def test_text_is_searched_and_an_empty_text_ends_that(open_grid):
    grid = open_grid()
    state = ask(grid, do="contains", column=3, text="n19")
    assert state["chips"] == [["note contains “n19”", 3, "n19"]]
    assert ids(state) == [19, 190, 191, 193, 194, 196, 197, 199]
    assert ask(grid, do="contains", column=3, text="")["chips"] == []


def test_pages_turn_and_stop_at_the_ends(open_grid):
    grid = open_grid()
    assert ask(grid, do="turn", by=-1)["at"][0] == 0
    for _ in range(12):
        state = ask(grid, do="turn", by=1)
    assert (state["at"], ids(state)) == ([180, 20, 200, 200], list(range(180, 200)))
    assert ask(grid, do="sort", column=0)["at"][0] == 0
    assert ask(grid, do="turn", by=1)["at"][0] == 20
    assert ask(grid, do="contains", column=3, text="n")["at"][0] == 0


@pytest.mark.parametrize("content", [
    {},
    {"do": "drop table"},
    {"do": "sort"},
    {"do": "sort", "column": 99},
    {"do": "sort", "column": -1},
    {"do": "sort", "column": True},
    {"do": "sort", "column": "0"},
    {"do": "bar", "column": 1, "bar": 0, "s": 77},
    {"do": "bar", "column": 1, "bar": 99, "s": 1},
    {"do": "bar", "column": 1, "bar": [0], "s": 1},
    {"do": "contains", "column": 1, "text": ["x"]},
    {"do": "contains", "column": 0, "text": "1"},
    {"do": "remove", "chip": 0},
    {"do": "turn", "by": 1_000},
    {"do": "turn", "by": True},
    {"do": "columns", "by": "1"},
], ids=str)  # fmt: skip
def test_a_message_that_asks_for_nothing_changes_nothing_and_is_answered(open_grid, content):
    grid = open_grid()
    grid.model.summarize()
    grid._send()
    before = grid.state()
    grid._received(None, content, None)
    after = grid.state()
    assert after == {**before, "v": before["v"] + 1}
    assert grid.sent[-1] == {"v": after["v"], "set": {}}


def test_a_failure_is_a_line_and_the_rows_stay(open_grid):
    grid = open_grid()
    ask(grid, do="sort", column=0)
    grid.model._grid.close()
    state = ask(grid, do="turn", by=1)
    assert state["error"] == "this grid is closed (run its cell again)"
    assert (ids(state), state["at"][0], state["sort"]) == (list(range(20)), 0, [0, False])


def test_a_secret_in_an_error_is_masked(open_grid, hub):
    hub.settings.redactor.add("hunter2-hunter2")
    grid = open_grid()

    class Broken:
        columns, engine, refuses = grid.model._grid.columns, "rows", ""

        def page(self, _):
            raise RuntimeError("no route with hunter2-hunter2")

        def close(self):
            pass

    grid.model.close()
    grid.model._grid = Broken()
    assert ask(grid, do="turn", by=1)["error"] == "RuntimeError: no route with ••••••"


def test_a_result_that_was_cut_says_so_and_offers_no_sorting(open_grid):
    grid = open_grid(Preview(["n"], [(n,) for n in range(30)], statement="select n from t"))
    grid.model.summarize()
    grid._send()
    state = ask(grid, do="sort", column=0)
    assert state["sort"] is None
    assert "limited to 30 rows; there are more" in state["note"]
    assert state["refuses"]
    html = saved_html(grid.model)
    assert span("1-20 of 30 rows") in html


def test_all_rows_of_a_result_that_was_cut_are_asked_for_by_a_click(open_grid, hub):
    numbers = "with recursive n(i) as (select 0 union all select i + 1 from n limit 3000)"
    cut = hub.db.session().query(f"{numbers} select i, i % 3 as rest from n", preview=30)
    grid = open_grid(cut, database=hub.db)
    assert grid.state()["more"]
    state = ask(grid, do="all")
    assert (state["more"], state["refuses"], state["note"]) == (False, "", "")
    assert state["at"] == [0, 20, 3000, 3000]
    state = ask(grid, do="sort", column=0)
    state = ask(grid, do="sort", column=0)
    assert ids(state)[:3] == [2999, 2998, 2997]
    state = ask(grid, **bar(grid, 1, next(label for label, *_ in state["sums"]["1"]["bars"])))
    assert state["at"][2:] == [1000, 3000]


def test_many_columns_are_a_window_that_moves(open_grid):
    names = [f"c{number}" for number in range(75)]
    grid = open_grid(Result(names, [tuple(range(75))] * 30))
    state = grid.state()
    assert (len(state["cols"]), state["window"]) == (30, [0, 30, 75])
    assert len(state["rows"][0]) == 30
    for _ in range(4):
        state = ask(grid, do="columns", by=1)
    assert (state["window"], state["cols"][0][1]) == ([60, 75, 75], "c60")
    assert state["rows"][0] == [str(number) for number in range(60, 75)]
    state = ask(grid, do="sort", column=74)
    assert state["sort"] == [74, False]


def test_long_texts_are_cut_and_numbers_are_not(open_grid):
    row = (10**30 + 1, *["long " * 60] * 20)
    grid = open_grid(Result([f"c{number}" for number in range(21)], [row] * 30))
    [number, text, *_] = grid.state()["rows"][0]
    assert number == str(row[0])
    assert (len(text), text[-1]) == (20, "…")
    assert len(json.dumps(grid.state()).encode()) < 15_000


# The saved copy


def test_the_copy_has_the_first_page_the_histograms_and_the_count(open_grid):
    grid = open_grid()
    grid.model.summarize()
    html = saved_html(grid.model, "a note")
    assert len(re.findall("<tr>", html)) == 21
    assert html.count('<th scope="col"') == 5
    assert html.count('<img alt="') == html.count('src="data:image/svg+xml,%3Csvg ') == 4
    assert span('<img alt="eur: 0 - 3960.1"') in html
    assert span("1-20 of 200 rows · a note") in html
    assert '<td style="text-align:left"><em>NULL</em></td>' in html


def test_hostile_text_is_text_in_the_copy(open_grid):
    grid = open_grid()
    grid.model.summarize()
    html = saved_html(grid.model, HOSTILE)
    assert "<img src" not in html
    assert "<b>" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") == 6
    assert 'alt="&lt;b&gt;&amp;bold&lt;/b&gt;: 2 distinct"' in html


def test_a_copy_of_anything_is_below_20_kb_and_says_which_columns_it_has(open_grid):
    names = [f"column {number} <&> é" for number in range(500)]
    grid = open_grid(Result(names, [tuple(["é" * 300] * 500)] * 30))
    grid.model.summarize()
    html = saved_html(grid.model)
    assert BYTES // 2 < len(html.encode()) <= BYTES
    assert re.search(r"first \d+ of 500 columns", html)
    assert len(grid._text.encode()) <= BYTES


# Life


def test_what_closes_a_grid_closes_its_engine_its_thread_and_its_widgets(open_grid):
    grid = open_grid()
    ask(grid, do="turn", by=1)
    closed = []
    grid.on_close(lambda: closed.append(True))
    grid.close()
    grid.close()
    assert closed == [True]
    assert grid.widget.comm is None
    assert grid.widget.layout.comm is None
    with pytest.raises(UsageError, match="closed"):
        grid.model.open()
    until(lambda: not grid._worker.alive)
    grid._received(None, {"do": "turn", "by": 1}, None)
    assert not grid._worker.alive


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"result": [1, 2]}, "a grid shows the rows of a query, got list"),
        ({"result": Result((), (), returns_rows=False)}, "this one returned no columns"),
        ({"result": MANY, "page": 0}, "page must be 1 to 200, got 0"),
        ({"result": MANY, "height": 5}, "height must be 100 to 10,000, got 5"),
    ],
)
def test_what_is_no_result_and_sizes_out_of_range_are_refused(hub, options, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        make(hub, **options)


def test_a_packed_script_keeps_its_strings_and_loses_its_comments():
    script = packed("grid.js")
    assert "Text that the column contains" in script
    assert "\n//" not in script
    assert len(script) < 11_000
    assert "/*" not in packed("grid.css")
