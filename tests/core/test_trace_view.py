"""The waterfall of a trace: its rows, its axis, its time by service, as HTML, text and files."""

from __future__ import annotations

import json
import re

import pytest

from agentnb.core.trace.spans import Process
from agentnb.core.trace.view.layout import Layout
from agentnb.core.trace.view.rows import chosen, rows_of
from agentnb.core.trace.view.style import FAILED, OTHER, PILLS, SERVICES
from agentnb.core.trace.view.text import text_of
from agentnb.core.trace.view.timeline import Timeline
from agentnb.core.trace.view.words import line
from agentnb.core.trace.view.work_time import extents, work_time
from tests.core.trace_samples import BEGAN, NOTEBOOK, WORKER, Sample, many, one_job

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>\x1b[2J\u202e\ud800'
CANARY = "hunter2-canary"


def _text(html):
    """Return the text of HTML without its style sheet."""
    return re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))


def _bars(html):
    """Return left, width and look of each bar of a row."""
    found = re.findall(
        r'absolute;left:([\d.]+)%;width:([\d.]+)%;top:4px;[^"]*?background:([^";]+)', html
    )
    return [(float(left), float(width), look) for left, width, look in found]


def _work(trace, now=0.0):
    return work_time(trace, extents(trace.spans, now))


# The cell of one job


def test_a_cell_and_all_that_its_job_caused_are_rows_of_one_tree():
    html = one_job()._repr_html_()
    assert html.count("<details") == 11
    assert html.count("cell [12]") == 2  # the heading, and the root
    assert html.count("attempt 2") == 1
    assert "<script" not in html
    assert "2 processes" in html
    pills = re.findall(r">((?:worker mail|notebook) \d+)</span>", html)
    assert pills == ["worker mail 4212", "notebook 4101"]


def test_a_failure_is_red_and_says_so_in_words():
    html = one_job()._repr_html_()
    assert [look for _, _, look in _bars(html)].count(FAILED) == 1
    assert "✕ UnavailableError" in html
    assert "503 Service Unavailable" in html


def test_what_outlives_its_parent_is_not_clipped_to_it():
    layout = Layout(one_job())
    rows = {layout.title(row): row for row in layout.rows}
    publish, handle = rows["events.publish"], rows["events.handle"]
    assert handle.above is publish
    assert layout.bounds(handle)[1] > layout.bounds(publish)[1]
    bars = _bars(one_job()._repr_html_())
    assert max(left + width for left, width, _ in bars) <= 100.01


def test_the_text_has_the_same_tree_as_the_html():
    text = repr(one_job())
    assert text.splitlines()[0] == (
        "cell [12] · 1.5 s · 11 spans · 2 processes · 1 retried · ✕ 1 failed · trace 1b77e0d2"
    )
    names = [line.split("  ")[-1].split()[0] for line in text.splitlines()[3:]]
    assert names[:3] == ["cell", "queue.add", "queue.process"]
    assert "      api.GET attempt 2 http" in text
    assert "✕ UnavailableError 503 503 Service Unavailable" in text


def test_the_text_has_bars_that_say_what_a_span_did():
    made = Sample()
    cell = made.add("notebook.cell", 0, 2000, kind="cell", number=3)
    for number in range(8):
        bad = {"outcome": "ValueError"} if number == 7 else {}
        made.add("db.query", 100 * number, 50, below=cell, **bad)
    made.add("queue.process", 900, 400, below=cell, kind="work", outcome="Lost")
    work = made.add("queue.process", 1000, 0, below=cell, kind="work", outcome="running", attempt=2)
    made.add("queue.result", 1000, 500, below=work, kind="wait", queue="mail")
    text = text_of(Layout(made.trace(), now=BEGAN + 2))
    assert text == (
        "cell [3] · 2.0 s · 12 spans · 1 process · 1 retried · 1 running · ✕ 2 failed"
        " · trace 1b77e0d2\n"
        "your code 1.4 s · db 400 ms · waiting 200 ms\n"
        "\n"
        "     0     2.0 s  ████████████████████████  cell [3]\n"
        "     0  Σ 400 ms  █████████                   db.query ×8 ✕ 1 p50 50 ms max 50 ms\n"
        "700 ms     50 ms          ✕                     db.query ✕ ValueError\n"
        "900 ms    400 ms            ▚▚▚▚▚▚            queue.process ✕ Lost\n"
        " 1.0 s     1.0 s              ▒▒▒▒▒▒▒▒▒▒▒▒    queue.process attempt 2 running\n"
        " 1.0 s    500 ms              ░░░░░░            queue.result mail"
    )


def test_the_time_of_a_failed_span_is_red_and_no_other():
    made = Sample()
    made.add("db.query", 0, 50)
    made.add("db.execute", 60, 70, outcome="ValueError")
    html = made.trace()._repr_html_()
    assert re.search(r'class="t"[^>]*>50 ms<', html)
    assert re.search(r'class="x"[^>]*>70 ms<', html)


def test_the_axis_has_labels_that_differ_and_lie_apart():
    assert Timeline(0, 2, []).ticks == [(0, "0"), (25, "500 ms"), (50, "1.0 s"), (75, "1.5 s")]
    # Behind a long gap two labels would be the same.
    labels = [label for _, label in Timeline(0, 1259, [(0.5, 1257)]).ticks]
    assert labels == ["0", "20 min 58 s"]


def test_a_step_and_a_cell_have_the_colour_of_your_own_code():
    made = Sample()
    made.add("notebook.cell", 0, 50, kind="cell")
    made.add("app.parse", 60, 50, kind="step")
    made.add("workflow.step", 160, 50, kind="step")
    assert {look for _, _, look in _bars(made.trace()._repr_html_())} == {SERVICES["your code"]}


def test_a_long_text_is_cut_to_a_line():
    assert line("a " * 200) == f"{'a ' * 79}a…"
    assert line("ab" * 3, 4) == "aba…"


def test_the_plain_form_has_neither_times_nor_ids():
    assert one_job().plain() == (
        "cell\n"
        "  queue.add\n"
        "    queue.process\n"
        "      db.connect\n"
        "      db.query\n"
        "      api.GET UnavailableError\n"
        "      api.GET attempt 2\n"
        "      events.publish\n"
        "        events.handle\n"
        "          db.query\n"
        "  queue.result"
    )


def test_details_have_statement_status_error_process_and_ids():
    text = _text(one_job()._repr_html_())
    for words in (
        "select id, url from page",
        "503",
        "worker mail 4212 on ada",
        "of trace 1b77e0d2",
    ):
        assert words in text


def test_each_row_can_be_opened_by_keys():
    html = one_job()._repr_html_()
    assert html.count("<summary") == html.count("<details") == 11


# Time by service


def test_time_belongs_to_the_deepest_span_that_works():
    made = Sample()
    cell = made.add("notebook.cell", 0, 1000, kind="cell")
    made.add("db.query", 100, 300, below=cell)
    found = _work(made.trace())
    assert found.shares == pytest.approx({"your code": 0.7, "db": 0.3})
    assert found.waiting == 0


def test_waiting_is_nobodys_work():
    made = Sample()
    cell = made.add("notebook.cell", 0, 1000, kind="cell")
    made.add("queue.result", 200, 800, below=cell, kind="wait")
    made.add("queue.process", 500, 100, below=cell, kind="work")
    found = _work(made.trace())
    assert found.shares == pytest.approx({"your code": 0.3})
    assert found.waiting == pytest.approx(0.7)
    assert [end - begin for begin, end in found.idle] == pytest.approx([0.3, 0.4])


def test_two_that_work_at_once_share_no_time_twice():
    made = Sample()
    cell = made.add("notebook.cell", 0, 1000, kind="cell")
    made.add("db.query", 0, 1000, below=cell)
    made.add("api.GET", 0, 1000, below=cell)
    found = _work(made.trace())
    assert sum(found.shares.values()) == pytest.approx(1.0)


def test_a_span_that_runs_goes_on_until_now():
    made = Sample()
    made.add("queue.process", 0, 0, kind="work", outcome="running")
    layout = Layout(made.trace(), now=BEGAN + 5)
    assert layout.seconds(layout.rows[0].span) == 5
    assert "1 running" in layout.heading


def test_a_lost_attempt_ends_with_what_it_did_and_is_hatched_with_its_word():
    made = Sample()
    task = made.add("queue.process", 0, 0, kind="work", outcome="Lost")
    made.add("db.query", 100, 200, below=task)
    made.add("queue.process", 900, 100, kind="work", attempt=2)
    trace = made.trace()
    assert Layout(trace).seconds(task) == pytest.approx(0.3)
    html = trace._repr_html_()
    assert "✕ Lost" in html
    assert html.count(f"repeating-linear-gradient(135deg,{FAILED}") == 1
    assert "✕ Lost" in repr(trace)


# The axis


def test_a_long_gap_is_cut_and_named():
    made = Sample()
    step = made.add("app.plan", 0, 300, kind="step")
    made.add("workflow.task", 1_257_300, 900, below=step, kind="work", task="release")
    trace = made.trace()
    html = trace._repr_html_()
    assert "20 min 57 s idle" in html
    assert "20 min 57 s idle" in repr(trace)
    (first, _, _), (second, width, _) = _bars(html)
    assert (first, second + width) == (0, 100)
    assert width > 50


def test_several_gaps_that_take_most_of_the_time_are_all_cut():
    line = Timeline(0, 304, [(1, 101), (102, 202), (203, 303)])
    assert len(line.gaps) == 3
    assert sum(part.width for part in line.gaps) == pytest.approx(15)
    assert line.at(304) == pytest.approx(100)


@pytest.mark.parametrize(("total", "gap"), [(10, (2, 6)), (1.5, (0.1, 1.0)), (100, (10, 20))])
def test_a_gap_that_is_short_or_a_small_part_is_kept(total, gap):
    assert Timeline(0, total, [gap]).gaps == []


def test_moments_outside_of_the_axis_lie_on_its_ends():
    line = Timeline(10, 20, [])
    assert (line.at(5), line.at(15), line.at(25)) == (0, 50, 100)
    assert Timeline(10, 10, []).at(10) == 0


# Repeats


def test_more_than_five_of_a_name_are_one_row_with_the_first_failures_below():
    made = Sample()
    cell = made.add("notebook.cell", 0, 1000, kind="cell")
    for number in range(20):
        bad = {"outcome": "ValueError"} if number >= 15 else {}
        made.add("db.query", number * 10, 5, below=cell, statement="select 1", **bad)
    trace = made.trace()
    rows = rows_of(trace)
    assert [len(row.spans) for row in rows] == [1, 20, 1, 1, 1]
    assert [row.excerpt for row in rows] == [False, False, True, True, True]
    assert trace.plain() == "cell\n  db.query ×20 ✕ 5"
    html = trace._repr_html_()
    assert "×20" in html
    assert "✕ 5" in html
    assert "20×" in html  # the statement, by its total time
    assert "the 5 slowest of 20" in html


def test_five_of_a_name_are_rows_of_their_own():
    made = Sample()
    for number in range(5):
        made.add("db.query", number, 1)
    assert len(rows_of(made.trace())) == 5


def test_what_lies_below_repeats_is_merged_in_the_same_way():
    made = Sample()
    for number in range(10):
        work = made.add("queue.process", number, 1, kind="work")
        made.add("db.query", number, 1, below=work)
    assert [(len(row.spans), row.level) for row in rows_of(made.trace())] == [(10, 0), (10, 1)]


def test_tasks_are_the_same_only_by_their_own_names():
    made = Sample()
    for number in range(10):
        made.add("workflow.task", number, 1, kind="work", task=f"task-{number}")
    assert len(rows_of(made.trace())) == 10
    assert "workflow.task task-3" in made.trace().plain()


def test_all_shows_each_repeat():
    trace = many(600)
    trace.merge = False
    assert len(Layout(trace, merge=False, limit=None).rows) == len(trace.spans)
    assert repr(trace).count("db.query") == len(trace.find(service="db"))


def test_a_depth_leaves_out_what_lies_deeper_and_counts_it():
    trace = one_job()
    trace.depth = 2
    assert trace._repr_html_().count("<details") == 3
    assert "+ 8 below" in trace._repr_html_()
    assert "(+ 8 below)" in repr(trace)


def test_a_failure_beyond_the_rows_that_are_shown_is_shown():
    made = Sample()
    for number in range(300):
        step = made.add(f"app.step {number}", number, 1, kind="step")
    made.add("db.query", 299, 1, below=step, outcome="ValueError")
    rows = chosen(rows_of(made.trace()), 200)
    assert len(rows) == 200
    assert [row.span.name for row in rows[-2:]] == ["step 299", "query"]
    assert "101 of 301 rows are not shown" in repr(made.trace())


def test_a_chain_of_thousands_of_spans_is_drawn():
    made, above = Sample(), None
    for number in range(3_000):
        above = made.add("queue.process", number, 1, below=above, kind="work")
    trace = made.trace()
    assert trace._repr_html_().count("<details") == 200
    assert len(trace.plain().splitlines()) == 3_000


# Size


def test_five_thousand_spans_are_few_rows_and_few_bytes():
    html = many()._repr_html_()
    assert html.count("<details") <= 60
    assert len(html.encode()) <= 150_000


def test_the_html_never_grows_beyond_300_kilobytes():
    made = Sample()
    for number in range(400):
        made.add(f"app.step {number}", number, 1, kind="step", statement="<&>" * 700)
    html = made.trace()._repr_html_()
    assert 200_000 < len(html.encode()) <= 300_000
    assert "rows more would be too long for a notebook" in html


def test_the_text_has_a_bound_too():
    made = Sample()
    for number in range(4_000):
        made.add(f"app.step {number}", number, 1, kind="step", statement="select " + "x" * 90)
    trace = made.trace()
    trace.merge = False
    text = repr(trace)
    assert 200_000 < len(text.encode()) <= 300_000
    assert "rows more would be too long for a notebook" in text


def test_a_span_that_names_itself_as_its_parent_is_a_root():
    made = Sample()
    span = made.add("db.query", 0, 1)
    span.parent = span.span
    assert made.trace().plain() == "db.query"


def test_above_fifty_thousand_spans_the_first_are_shown_and_it_is_said():
    made = Sample()
    cell = made.add("notebook.cell", 0, 60_000, kind="cell")
    for number in range(50_100):
        made.add("db.query", number, 1, below=cell)
    assert "the first 50,000 of 50,101 spans are shown" in repr(made.trace())


def test_a_trace_without_spans_is_drawn():
    trace = Sample().trace(notes=["older spans are gone"])
    assert "older spans are gone" in trace._repr_html_()
    assert "older spans are gone" in repr(trace)
    assert trace.plain() == ""
    assert trace.to_chrome()["traceEvents"] == []


# Hostile text and secrets


def _hostile(text, service="api"):
    made = Sample()
    process = Process(1, text, text)
    cell = made.add("notebook.cell", 0, 100, kind="cell", source=text, number=text)
    for name in ("statement", "url", "channel", "task", "key", text):
        made.add("workflow.task", 1, 1, below=cell, **{name: text, "process": process})
    failed = {"outcome": text, "error": text}
    made.add(f"db.{text}", 1, 1, below=cell, **failed)
    made.add(f"{service}.query", 1, 1, below=cell)
    for _ in range(9):
        made.add("api.GET", 1, 1, below=cell, url=text, **failed)
    return made.trace(notes=[text])


def test_hostile_text_is_text_in_every_view():
    trace = _hostile(HOSTILE, '"><img>')
    html = trace._repr_html_()
    assert "<img" not in html
    assert "<script" not in html
    assert "&lt;img" in html
    for text in (html, repr(trace), trace.plain()):
        assert not re.search(r"[\x1b\u202e\ud800]", text)
        text.encode()
    json.dumps(trace.to_chrome())


@pytest.mark.parametrize(
    "text", [f"postgresql://u:{CANARY}@host/db", f"password={CANARY}", f"Bearer {CANARY}-0123"]
)
def test_a_secret_is_in_no_view_and_no_export(text):
    trace = _hostile(text)
    frame = trace.df().to_csv()
    for view in (trace._repr_html_(), repr(trace), trace.plain(), json.dumps(trace.to_chrome())):
        assert CANARY not in view
    assert CANARY not in json.dumps(trace.to_dict())
    assert CANARY not in frame


def test_secrets_that_only_the_settings_know_are_masked_too():
    trace = _hostile("select 'correct horse'")
    trace.redactor = lambda text: text.replace("correct horse", "••••••")
    for view in (trace._repr_html_(), repr(trace), trace.plain(), json.dumps(trace.to_chrome())):
        assert "correct horse" not in view


# Files


def test_events_of_chrome_lie_in_one_another_or_apart_on_each_track():
    found = many(2_000).to_chrome()["traceEvents"]
    tracks = {}
    for event in found:
        if event["ph"] == "X":
            tracks.setdefault((event["pid"], event["tid"]), []).append(event)
    assert len({pid for pid, _ in tracks}) == 4
    for events in tracks.values():
        open_ends = []
        for event in sorted(events, key=lambda event: (event["ts"], -event["dur"])):
            began, ended = event["ts"], event["ts"] + event["dur"]
            while open_ends and open_ends[-1] <= began + 0.2:
                open_ends.pop()
            assert not open_ends or ended <= open_ends[-1] + 0.2
            open_ends.append(ended)
    names = [event["args"]["name"] for event in found if event["ph"] == "M"]
    assert names[0] == "notebook 4101 on ada"


def test_a_frame_has_a_row_for_each_span():
    frame = one_job().df()
    assert len(frame) == 11
    assert list(frame[frame.outcome != "ok"].error) == ["503 Service Unavailable"]
    assert set(frame.role) == {NOTEBOOK.role, WORKER.role}


# Colours


def _luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one, other):
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", sorted({*SERVICES.values(), OTHER, FAILED}))
def test_bars_stand_out_from_light_and_dark_pages(colour):
    assert min(_contrast(colour, "#ffffff"), _contrast(colour, "#111111")) >= 3


@pytest.mark.parametrize("colour", PILLS)
def test_white_text_can_be_read_on_pills(colour):
    assert _contrast(colour, "#ffffff") >= 4.5
