"""The span of a cell: what it caused is below it, whatever way the cell ends."""

from __future__ import annotations

import os
import threading
import warnings

import pytest

from agentnb.core.trace import correlation, current, read_spans
from agentnb.core.trace.cell import Cell
from agentnb.core.trace.process import this_process
from agentnb.core.trace.spans import Tracer


@pytest.fixture
def run(shell, capsys):
    """Run a cell as a notebook does, and return the trace that is the last after it."""
    hub = shell.user_ns["hub"]

    def run_cell(source):
        shell.run_cell(source, store_history=True)
        capsys.readouterr()
        return hub.trace.last()

    return run_cell


def outline(trace):
    """Return the names of a trace's spans, indented below their parents."""

    def lines(spans, depth):
        for span in spans:
            yield "  " * depth + f"{span.service}.{span.name} {span.outcome}"
            yield from lines(trace.children(span), depth + 1)

    return list(lines(trace.roots, 0))


def test_a_cell_is_the_root_of_what_it_called(run, shell):
    run("hub.db.query('select 1')")
    number = shell.execution_count
    trace = run("\n  # load\nhub.db.query('select 2')\nhub.db.query('select 3')")
    assert outline(trace) == ["notebook.cell ok", "  db.query ok", "  db.query ok"]
    (cell,) = trace.roots
    assert (cell.kind, cell.parent_id, cell.error) == ("cell", None, None)
    assert cell.attributes == {"source": "# load", "number": number}
    assert cell.process.role == "notebook"
    assert cell.began <= trace.spans[1].began
    assert cell.ended >= trace.spans[-1].ended


def test_a_cell_that_called_nothing_is_no_trace(run, shell):
    first = run("hub.db.query('select 1')")
    assert run("1 + 1").id == run("x = hub.trace.current_id").id == first.id
    assert len(shell.user_ns["hub"].trace.list()) == 1


def test_the_last_trace_within_a_cell_is_of_the_cell_before(run, shell):
    first = run("hub.db.query('select 1')")
    run("hub.db.query('select 2'); last = hub.trace.last()")
    assert shell.user_ns["last"].id == first.id


@pytest.mark.parametrize(
    ("source", "outcome", "message"),
    [
        ("hub.db.query('select 1'); 1 / 0", "ZeroDivisionError", "division by zero"),
        ("hub.db.query('select nope')", "QueryRejected", "no such column"),
        ("hub.db.query('select 1'); raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("hub.db.query('select 1'); raise SystemExit(3)", "SystemExit", "3"),
        ("%db select nope", "QueryRejected", "no such column"),
        ("hub.db.query('select 1')\nawait asyncio.sleep(0)\n1 / 0", "ZeroDivisionError", "zero"),
    ],
)
def test_the_error_of_a_cell_is_its_outcome(run, source, outcome, message):
    run("import asyncio; hub.db.query('select 0')")
    (cell,) = run(source).roots
    assert (cell.name, cell.outcome) == ("cell", outcome)
    assert message in cell.error


def test_a_cell_with_a_syntax_error_ends(run):
    first = run("hub.db.query('select 1')")
    assert run("hub.db.query('select 1'").id == first.id
    assert outline(run("hub.db.query('select 2')")) == ["notebook.cell ok", "  db.query ok"]


def test_an_empty_cell_between_others_ends_none_of_them(run):
    run("hub.db.query('select 0')")
    source = "hub.db.query('select 1')\nget_ipython().run_cell('')\nhub.db.query('select 2')"
    assert outline(run(source)) == ["notebook.cell ok", "  db.query ok", "  db.query ok"]


def test_a_cell_within_a_cell_is_its_child(run):
    run("hub.db.query('select 0')")
    trace = run(
        "hub.db.query('select 1')\n"
        "get_ipython().run_cell('hub.db.query(\"select 2\"); 1 / 0')\n"
        "hub.db.query('select 3')"
    )
    assert outline(trace) == [
        "notebook.cell ok",
        "  db.query ok",
        "  notebook.cell ZeroDivisionError",
        "    db.query ok",
        "  db.query ok",
    ]
    inner = trace.find(name="cell")[1]
    assert inner.attributes == {"source": 'hub.db.query("select 2"); 1 / 0'}


def test_the_first_call_in_an_inner_cell_opens_the_outer_one(run):
    run("hub.db.query('select 0')")
    assert outline(run("get_ipython().run_cell('hub.db.query(\"select 2\")')")) == [
        "notebook.cell ok",
        "  notebook.cell ok",
        "    db.query ok",
    ]


def test_a_captured_cell_is_a_part_of_its_trace(run):
    run("hub.db.query('select 0')")
    trace = run("%%capture out\nhub.db.query('select 1')")
    assert outline(trace)[0] == "notebook.cell ok"
    assert outline(trace)[-1].strip() == "db.query ok"
    assert len(trace.roots) == 1


def test_a_script_that_a_cell_runs_is_a_part_of_its_trace(run, tmp_path):
    (tmp_path / "script.py").write_text("hub.db.query('select 1')")
    run("hub.db.query('select 0')")
    trace = run("%run -i script.py")
    assert outline(trace) == ["notebook.cell ok", "  db.query ok"]


def test_an_awaited_cell_is_one_trace(run):
    run("import asyncio; hub.db.query('select 0')")
    trace = run(
        "await hub.db.aquery('select 1')\n"
        "await asyncio.gather(*(hub.db.aquery('select 2') for _ in range(2)))\n"
        "await asyncio.to_thread(hub.db.query, 'select 3')"
    )
    assert outline(trace) == ["notebook.cell ok", *["  db.query ok"] * 4]


def test_what_a_callback_does_after_its_cell_is_a_part_of_it(run, shell):
    run("hub.db.query('select 0')")
    run("def clicked(): hub.db.query('select 1')")
    shell.user_ns["clicked"]()
    trace = shell.user_ns["hub"].trace.last()
    (cell,) = trace.roots
    assert outline(trace) == ["notebook.cell ok", "  db.query ok"]
    assert cell.attributes["source"] == "def clicked(): hub.db.query('select 1')"


def test_silent_runs_are_no_cells(run, shell):
    first = run("hub.db.query('select 0')")
    shell.run_cell("hub.db.query('select 1')", silent=True)
    hub = shell.user_ns["hub"]
    cells = [root for trace in hub.trace.list() for root in trace.roots if root.kind == "cell"]
    assert len(cells) == 1
    assert hub.trace.last().id == first.id


def test_a_run_without_history_as_of_nbval_is_a_cell_without_a_number(run, shell):
    run("hub.db.query('select 0')")
    shell.run_cell("hub.db.query('select 2')", store_history=False)
    (cell,) = shell.user_ns["hub"].trace.last().roots
    assert cell.kind == "cell"
    assert "number" not in cell.attributes


def test_a_cell_that_closes_the_hub_has_ended(run, shell):
    hub = shell.user_ns["hub"]
    run("hub.db.query('select 1')")
    shell.run_cell("hub.db.query('select 2'); hub.close()", store_history=True)
    folder = hub.settings.home / "logs"
    text = "".join(path.read_text() for path in folder.glob("spans-*"))
    assert text.count('"name":"cell"') - text.count('"open":true') == 2


def test_unloading_ends_the_running_cell(bare_shell, capsys):
    bare_shell.run_line_magic("load_ext", "agentnb")
    hub = bare_shell.user_ns["hub"]
    bare_shell.run_cell(
        "hub.db.query('select 1')\ntrace = hub.trace.current_id\n%unload_ext agentnb",
        store_history=True,
    )
    capsys.readouterr()
    spans = read_spans(hub.settings.home / "logs", bare_shell.user_ns["trace"])
    assert [span.outcome for span in spans if span.name == "cell"] == ["ok"]


def test_the_source_of_a_cell_is_masked_in_its_file(run, shell):
    run("key = hub.db.query('select 1'); password = 'hunter22hunter22'")
    folder = shell.user_ns["hub"].settings.home / "logs"
    text = "".join(path.read_text() for path in folder.glob("spans-*"))
    assert "password" in text
    assert "hunter22" not in text


def test_a_cell_with_a_correlation_id_only_is_the_parent_of_its_block(run):
    run("import agentnb; hub.db.query('select 0')")
    trace = run("with agentnb.correlation('order-17'): hub.db.query('select 1')")
    assert outline(trace) == ["notebook.cell ok", "  db.query ok"]


def test_threads_that_call_first_open_a_cell_once(tmp_path):
    tracer = Tracer(tmp_path)
    cell = Cell("source", 1, None, lambda: tracer)
    cell.begin()
    barrier = threading.Barrier(4)

    def call():
        barrier.wait()
        cell.open()

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tracer.running()) == 1
    cell.end(None)
    tracer.close()
    assert [span.outcome for span in read_spans(tmp_path, cell.context.trace_id)] == ["ok"]


def test_a_cell_that_waits_for_its_first_tracer_is_opened_later():
    tracers = []
    cell = Cell("source", 1, None, lambda: tracers[0] if tracers else None)
    cell.begin()
    with Tracer().span("query"):
        pass
    tracers.append(Tracer())
    with tracers[0].span("query"), correlation("order-17"):
        assert current().trace == cell.context.trace
    cell.end(None)
    assert [span.name for span in tracers[0].recent()] == ["query", "cell"]


def test_a_child_that_a_cell_forks_begins_no_cell(tmp_path):
    tracer = Tracer(tmp_path)
    cell = Cell("source", 1, None, lambda: tracer)
    cell.begin()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is the point
        child = os.fork()
    if not child:
        with tracer.span("query", service="db"):
            pass
        tracer.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    cell.end(None)
    tracer.close()
    (query,) = read_spans(tmp_path, cell.context.trace_id)
    assert (query.name, query.parent_id) == ("query", cell.context.span_id)


def test_after_unloading_nothing_is_a_part_of_the_last_cell(run, shell):
    run("hub.db.query('select 1')")
    shell.run_line_magic("unload_ext", "agentnb")
    assert current() is None
    assert this_process().role == "script"
