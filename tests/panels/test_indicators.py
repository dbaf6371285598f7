"""What a table draws beside what it writes, rows that are marked, lines that are noticed."""

from __future__ import annotations

import math

import pytest

from agentnb.panels import Indicator, Notice, Panel, Plot, TableView, TextBlock
from agentnb.panels.base.indicators import progress, stacked, state


@pytest.fixture
def table():
    made = TableView(
        ["id", "state", "done"],
        [
            (1, state("failed", "bad"), progress(9)),
            (2, state("active", "brand"), progress(100)),
            (3, state("active", "brand"), progress(30)),
            (4, "", None),
        ],
        key="id",
        markable=True,
        label="Jobs",
    )
    yield made
    made.close()


def marks(table):
    meta = table.state()["meta"]
    return table.marked, meta["marks"], len(meta["marked"])


def test_a_drawn_cell_is_sent_with_its_text_and_how_it_is_drawn(table):
    _, cells = table.state()["rows"][0]
    assert cells[1] == {"text": "failed", "tone": "bad", "dot": 1}
    assert cells[2] == {"text": "9 %", "parts": [[0.09, "brand"]]}


def test_a_drawn_cell_is_ordered_by_its_number_and_filtered_by_its_text(table):
    table.sort("done")
    assert table.shown() == [1, 3, 2, 4]
    table.filter("state:fail")
    assert table.shown() == [1]


def test_a_bar_that_has_moved_is_sent_alone(table):
    sent = []
    table.widget.send = sent.append
    rows = [table.row(key) for key in (1, 2, 3, 4)]
    table.update([(1, state("failed", "bad"), progress(10)), *rows[1:]])
    assert sent == [{"v": 1, "set": [[1, 2, {"text": "10 %", "parts": [[0.1, "brand"]]}]]}]


def test_a_saved_copy_has_the_texts(table):
    assert "failed  9 %" in table.static_text()
    assert "<td>failed</td><td>9 %</td>" in table.static_html()


def test_html_in_a_drawn_cell_stays_text():
    table = TableView(["a"], [(Indicator("<b>x\ny</b>", "bad"),)])
    assert "&lt;b&gt;x↵y&lt;/b&gt;" in table.static_html()
    table.close()


def test_a_share_is_never_outside_of_its_bar():
    assert progress(math.nan).parts == ((0.0, "brand"),)
    assert progress(-3).parts == ((0.0, "brand"),)
    assert stacked([("a", 0, "dim")]).parts == ()
    assert stacked([("a", 5, "dim")], whole=20).parts == ((0.25, "dim"),)


def test_rows_are_marked_and_keep_their_marks_while_they_are_there(table):
    table._received(None, {"do": "mark", "rows": [1, 3, 99, {"no": 1}], "on": True}, None)
    assert marks(table) == ([1, 3], 2, 2)
    table.filter("active")
    assert marks(table) == ([1, 3], 2, 1)
    table._received(None, {"do": "mark", "rows": "all", "on": True}, None)
    table.filter("")
    assert marks(table) == ([1, 2, 3], 3, 3)
    table.update([(3, "", None), (2, "", None), (5, "", None)])
    assert marks(table) == ([3, 2], 2, 2)
    table._received(None, {"do": "mark", "rows": "nonsense", "on": True}, None)
    table.mark([3], on=False)
    assert table.marked == [2]


def test_a_notice_is_there_only_while_it_has_lines():
    notice = Notice()
    panel = Panel("Queue").compose(notice)
    assert notice.widget.layout.display == "none"
    notice.show(["nobody works on <mail>", "second"])
    assert notice.widget.layout.display is None
    text, html = (panel._repr_mimebundle_()[0][f"text/{kind}"] for kind in ("plain", "html"))
    assert "nobody works on <mail>\nsecond" in text
    assert "nobody works on &lt;mail&gt;" in html
    notice.show([])
    assert notice.widget.layout.display == "none"
    panel.close()


def test_a_text_with_a_heading_is_gone_with_its_text():
    block = TextBlock("Error")
    block.show("no <b>")
    assert ">Error</span>" in block.widget.value
    assert "no &lt;b&gt;" in block.widget.value
    block.show("")
    assert (block.widget.value, block.widget.layout.display) == ("", "none")
    block.widget.close()


def test_a_plot_of_seconds_reads_as_durations_and_forgets_when_told():
    plot = Plot("Run time", "s")
    for value in (0.0004, 0.25, 90):
        plot.add(value)
    assert plot.static_text() == "Run time: 1 min 30 s, between 0.4 ms and 1 min 30 s"
    sent = []
    plot.widget.send = sent.append
    plot.clear()
    assert plot.values == []
    assert sent == [{"v": 4, "full": plot.state()}]
    plot.close()
