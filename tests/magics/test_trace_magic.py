"""``%trace``: the trace of a cell, found by its names, shown and written."""

from __future__ import annotations

import json

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.table import Table
from agentnb.core.trace.tree import Trace


@pytest.fixture
def caused(shell, run):
    """Return after three cells: a query, a failure, and a step with two queries."""
    run("with hub.trace.run('first'):\n    _ = hub.db.query('select 1 as first')")
    shell.run_cell("with hub.trace.run('bad'):\n    hub.db.query('select no_such_column')")
    run(
        "with hub.trace.run('nightly'), hub.trace.span('parse', rows=3):\n"
        "    _ = hub.db.query('select 2'), hub.db.query('select 3')"
    )
    return run


def _complete(shell, line):
    with provisionalcompleter():
        return [one.text for one in shell.Completer.completions(line, len(line))]


def test_a_bare_line_shows_what_the_last_cell_caused(caused):
    trace = caused("%trace")
    assert isinstance(trace, Trace)
    assert len(trace.find(service="db", name="query")) == 2
    assert "parse" in repr(trace)
    assert "<details" in trace._repr_html_()


def test_a_cell_before_is_found_by_its_number_backwards(caused):
    assert caused("%trace -1").id == caused("%trace").id
    ids = {caused(f"%trace -{number}").id for number in (1, 2, 3)}
    assert len(ids) == 3
    with pytest.raises(NotFoundError, match="there are only 3 traces"):
        caused("%trace -9")


def test_the_first_digits_of_an_id_are_enough(caused):
    trace = caused("%trace")
    assert caused(f"%trace {trace.id[:8]}").id == trace.id
    assert caused(f"%trace show {trace.id}").id == trace.id


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("%trace ffffff", NotFoundError, "ffffff"),
        ("%trace job:none", NotFoundError, "no trace of job none in this home"),
        ("%trace workflow:none", NotFoundError, "no trace of workflow none"),
        ("%trace thing:none", UsageError, "6 to 32 hexadecimal digits"),
        ("%trace abc", UsageError, "6 to 32 hexadecimal digits"),
        ("%trace a b", UsageError, "takes"),
        ("%trace list abc", UsageError, "list takes no"),
        ("%trace capture", UsageError, "capture takes ID"),
        ("%trace capture --test t.py", UsageError, "capture takes ID"),
        ("%trace job:$job_id", UsageError, "a word of its own"),
        ("%trace job:{job_id}", UsageError, "a word of its own"),
        ("%trace $trace_id", UsageError, "a word of its own"),
        ("%trace --depth 0", UsageError, "depth must be"),
        ("%trace --depth x", UsageError, "depth must be"),
        ("%trace --timeout 3", UsageError, "without --live"),
        ("%trace --json --plain", UsageError, "beside --json|beside --plain"),
        ("%trace --depth 1 --json", UsageError, "--depth has no effect beside --json"),
        ("%trace 123456 --failed", UsageError, "--failed has no effect beside an ID"),
        ("%trace list --plain", UsageError, "list takes no --plain"),
        ("%trace list -n 0", UsageError, "count must be"),
        ("%trace --export x.txt", UsageError, r"ends in \.json"),
        ("%trace --export no/such/folder/x.json", UsageError, "cannot write"),
        ("%trace --nothing", UsageError, "has no option --nothing"),
        ("%trace 123456 --expotr x", UsageError, "has no option --expotr"),
    ],
)
def test_bad_input_is_refused_with_a_hint(caused, line, error, message):
    with pytest.raises(error, match=message) as found:
        caused(line)
    assert found.value.hint


def test_the_last_failure_is_found(caused):
    trace = caused("%trace --failed")
    assert "no_such_column" in str(trace.find(name="query")[0].error)
    assert "✕" in repr(trace)


def test_without_a_trace_a_bare_line_says_what_to_type(run):
    found = run("%trace")
    assert isinstance(found, str)
    assert "nothing was traced yet" in found
    assert "run a cell" in found
    assert "%db select 1" in repr(run("%trace list"))
    with pytest.raises(NotFoundError, match="no trace of this home has a failure"):
        run("%trace --failed")


def test_traces_are_listed_newest_first(caused):
    table = caused("%trace list")
    assert isinstance(table, Table)
    assert len(table) == 3
    assert table[0].trace == caused("%trace").id[:8]
    assert len(caused("%trace list --failed")) == 1
    assert len(caused("%trace list -n 1")) == 1
    times = caused("%trace list --slow").column("took")
    assert times == sorted(times, reverse=True)


def test_a_trace_is_written_for_perfetto(caused, project):
    said = caused("%trace --export trace.json")
    found = json.loads((project / "trace.json").read_text())
    assert {event["ph"] for event in found["traceEvents"]} == {"M", "X"}
    assert "trace.json" in said


def test_a_trace_is_written_for_opentelemetry(caused, project):
    assert "trace.otlp" in caused("%trace --export trace.otlp")
    (found,) = json.loads((project / "trace.otlp").read_text())["resourceSpans"]
    spans = found["scopeSpans"][0]["spans"]
    assert {span["traceId"] for span in spans} == {caused("%trace").id}


def test_a_trace_is_given_as_json_and_as_plain_text(caused):
    record = json.loads(caused("%trace --json"))
    assert record["trace_id"] == caused("%trace").id
    assert "parse\n" in caused("%trace --plain")
    assert "ms" not in caused("%trace --plain")


def test_a_long_json_is_whole_and_displays_its_beginning(caused, shell):
    caused(
        "with hub.trace.run('many'):\n"
        "    for number in range(800): hub.trace.span('step', text='x' * 200).__enter__()"
        ".__exit__(None, None, None)"
    )
    caused("found = %trace --json")
    found = shell.user_ns["found"]
    assert len(json.loads(found)["spans"]) > 800
    assert len(repr(found)) < 260_000
    assert "characters more" in repr(found)


def test_a_list_of_traces_in_python_displays_a_table(caused):
    traces = caused("hub.trace.list()")
    assert [trace.id[:8] for trace in traces] == caused("%trace list").column("trace")
    assert repr(traces) == repr(caused("%trace list"))
    assert "<table" in traces._repr_html_()


def test_depth_and_all_change_what_is_displayed(caused):
    assert repr(caused("%trace --depth 1")).count("db.query") == 0
    caused("with hub.trace.run('many'):\n    for _ in range(9): hub.db.query('select 1')")
    assert "×9" in repr(caused("%trace"))
    assert repr(caused("%trace --all")).count("db.query") == 9


def test_quiet_silences_before_and_behind_the_id(caused):
    trace = caused("%trace")
    assert caused("%trace --quiet") is None
    assert caused(f"%trace {trace.id} --quiet") is None


def test_help_is_of_the_verb_and_of_the_whole(shown):
    assert "--failed" in shown("%trace help")
    assert "--live" in shown("%trace 123456 --help")


def test_tab_offers_verbs_ids_and_options(caused, shell):
    trace = caused("%trace")
    offered = _complete(shell, "%trace ")
    assert {"list", "show", trace.id[:8], "job:"} <= {*offered}
    assert "--export" in _complete(shell, "%trace 123456 --ex")
    assert trace.id[:8] in _complete(shell, "%trace show ")
    assert "--slow" in _complete(shell, "%trace list --s")


@pytest.mark.parametrize("files", [True, False])
def test_the_trace_of_a_job_a_workflow_and_an_event_is_found(run, shell, files):
    run(
        "with hub.trace.run('names'):\n"
        "    job = hub.queue('mail').add({})\n"
        "    hub.workflows.agent('plan')(lambda task, ctx: None)\n"
        "    made = hub.workflows.create('new-app', [{'name': 'plan', 'agent': 'plan'}])\n"
        "    with hub.trace.span('handle', event='e-\\u00e4\"1'): pass\n"
    )
    expected = run("%trace").id
    job = shell.user_ns["job"]
    if files:
        hub = shell.user_ns["hub"]
        hub.tracer.flush()
        hub.tracer._ring.clear()  # as in another process
    for name in (f"job:{job.id}", "workflow:new-app"):
        assert run(f"%trace {name}").id == expected
    event = 'event:e-\u00e4"1'
    assert shell.user_ns["hub"].trace.get(event).id == expected


def test_a_trace_that_runs_is_followed_up_to_the_timeout(caused, shell):
    shell.run_cell("_open = hub.trace.run('endless'); _span = _open.__enter__()")
    span = shell.user_ns["_span"]
    try:
        found = caused(f"%trace {span.trace_id} --live --timeout 0.1")
    finally:
        shell.user_ns["_open"].__exit__(None, None, None)
    assert "still run" in found.notes[-1]


def test_an_attempt_that_failed_becomes_a_test_by_one_line(run, shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError, match="no attempt of job:none was recorded") as caught:
        run("%trace capture job:none --test test_night.py")
    assert "--record failed" in caught.value.hint
    with pytest.raises(UsageError, match="neither was named"):
        run("%trace capture job:none")
    for line in ("%trace capture", "%trace capture --test test_night.py"):
        with pytest.raises(UsageError, match="%trace capture takes ID, not 0 arguments"):
            run(line)
    tape = run("hub.settings.home") / "tapes" / "20260101T000000-job-k3x9-1.tape.json"
    tape.parent.mkdir()
    unit = {"kind": "job", "id": "k3x9", "function": "json:dumps", "data": 1}
    began = "2026-01-01T00:00:00+00:00"
    tape.write_text(json.dumps({"agentnb_tape": 1, "began": began, "unit": unit, "steps": []}))
    said = str(run("%trace capture job:k3x9 --test test_night.py"))
    assert "test_night.py and 1 tape beside it" in said
    assert "tape.run(dumps)" in (tmp_path / "test_night.py").read_text()
    with pytest.raises(UsageError, match=r"test_night\.py exists"):
        run("%trace capture job:k3x9 --test test_night.py")
    assert "written" in str(run("%trace capture job:k3x9 --test test_night.py --yes"))
    assert "capture" in _complete(shell, "%trace cap")
