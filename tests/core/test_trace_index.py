"""The list of traces comes from an index beside the files, which is never believed blindly."""

from __future__ import annotations

import json

import pytest

from agentnb.core.trace import Tracer, use
from agentnb.core.trace.index import SpanIndex
from agentnb.core.trace.listed import ListedTrace
from agentnb.core.trace.reading import SpanReader
from agentnb.core.trace.traces import Traces
from agentnb.core.trace.tree import Trace

from .test_trace_reading import OTHER, TRACE, line, write


@pytest.fixture(autouse=True)
def outside_of_any_trace():
    with use(None):
        yield


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a trace of two spans of two processes, and one that failed."""
    process = {"pid": 8, "host": "ada", "role": "worker q", "owner": "boot|1|8|99"}
    write(tmp_path, line(1, kind="cell", attributes={"number": 3}), line(9, trace=OTHER))
    write(tmp_path, line(2, parent=1, outcome="ValueError"), pid=8, process=process)
    return tmp_path


def listed(folder, **options):
    """Return the list as another process has it."""
    return Traces(Tracer(folder), list).list(**options)


def shown(traces):
    """Return the rows of the list, which are the same from the index and from the spans."""
    found = [row[1:] for row in table(traces)]
    assert found == [row[1:] for row in table([Trace(one.id, one.spans) for one in traces])]
    return found


def table(traces):
    from agentnb.core.trace.view.listing import table_of

    return table_of(traces).rows


def test_a_second_list_reads_no_span_until_one_is_asked_for(folder):
    first = shown(listed(folder))
    traces = listed(folder)
    assert [type(one) for one in traces] == [ListedTrace, ListedTrace]
    assert [len(one) for one in traces] == [1, 2]
    assert not any(one.is_read for one in traces)
    assert repr(traces) == repr(listed(folder))
    assert not any(one.is_read for one in traces)
    assert [span.name for span in traces[1].spans] == ["query", "query"]
    assert [span.outcome for span in traces[1].failed] == ["ValueError"]
    assert traces[0].is_read is False
    assert shown(traces) == first
    assert [one.id for one in listed(folder, failed=True)] == [TRACE]
    assert [one.id for one in listed(folder, failed=False)] == [OTHER]
    with pytest.raises(AttributeError, match="ListedTrace"):
        _ = traces[0].colour


def test_only_what_is_new_is_read(folder):
    listed(folder)
    for text in ("", f"{line(50, parent=1)}\n", f"{line(51, parent=1)}\n"):
        with (folder / "spans-8.jsonl").open("a") as file:
            file.write(text)
        index = SpanIndex(folder)
        index.refresh()
        assert index._new == len(text)
        index.refresh()
        assert index._new == len(text)
        index._new = 64_000
        index.save()


def test_a_trace_has_a_cell_as_its_root_as_the_files_say(folder):
    for _ in range(2):
        roots = SpanReader(folder).roots()
        assert {one.trace_id: one.is_cell for one in roots} == {TRACE: True, OTHER: False}
        listed(folder)


def test_roots_have_the_owner_of_their_file_however_often_it_is_read_on(folder):
    owners = {TRACE: "boot|1|7|99", OTHER: "boot|1|7|99"}
    for number in range(2):
        assert {one.trace_id: one.owner for one in SpanReader(folder).roots()} == owners
        listed(folder)
        owners[f"{number}" * 32] = "boot|1|8|99"
        with (folder / "spans-8.jsonl").open("a") as file:
            file.write(f"{line(30 + number, trace=f'{number}' * 32)}\n")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b'{"version":0,"files":{},"rows":{}}', b'{"version":1}', b"\xff" * 9],
    ids=["empty", "cut", "list", "old", "lacking", "bytes"],
)
def test_an_index_that_cannot_be_read_is_made_again(folder, text):
    first = shown(listed(folder))
    index = folder / "traces.index"
    assert index.stat().st_mode & 0o777 == 0o600
    index.write_bytes(text)
    assert shown(listed(folder)) == first
    assert json.loads(index.read_bytes())["version"] == 1


def test_lines_that_come_later_count_at_once_and_half_a_line_once_it_is_whole(folder):
    traces = Traces(Tracer(folder), list)
    traces.list()
    later = line(3, parent=2, outcome="KeyError")
    cut = later.index(TRACE) + 9
    with (folder / "spans-8.jsonl").open("a") as file:
        file.write(later[:cut])
    assert [one.row.spans for one in traces.list()] == [1, 2]
    with (folder / "spans-8.jsonl").open("a") as file:
        file.write(f"{later[cut:]}\n{line(20, trace='5' * 32)}\n")
    for found in (traces.list(), listed(folder)):
        assert [(len(one), len(one.failed)) for one in found] == [(1, 0), (1, 0), (3, 2)]


def test_a_damaged_line_that_seems_to_have_failed_spoils_no_list(folder):
    with (folder / "spans-8.jsonl").open("a") as file:
        file.write('{"name":"q","outcome":"ValueError","trace_id":"\n')
        file.write(f"{line(40, trace=OTHER, parent=9, attributes={'outcome': 'bad'})}\n")
    assert [one.id for one in listed(folder, failed=True)] == [TRACE]
    assert Traces(Tracer(folder), list)._finder._reader.failed_ids() == {TRACE}


def test_files_that_are_renamed_removed_or_replaced_are_noticed(folder):
    listed(folder)
    path = folder / "spans-8.jsonl"
    path.rename(folder / "spans-8.jsonl.1")
    assert type(listed(folder)[1]) is ListedTrace
    assert [len(one) for one in listed(folder)] == [1, 2]
    (folder / "spans-8.jsonl.1").unlink()
    assert [len(one) for one in listed(folder)] == [1, 1]
    old = folder / "spans-7.jsonl"
    text = old.read_text()
    changed = text.replace(OTHER, "6" * 32)  # as long, in the same file
    with old.open("r+") as file:
        file.write(changed)
    assert [one.id for one in listed(folder)] == ["6" * 32, TRACE]


def test_a_trace_of_which_something_runs_has_no_row(tmp_path):
    here = Tracer(tmp_path)
    traces = Traces(here, list)
    with traces.run("nightly"):
        traces.list()
        [running] = traces.list()
        assert type(running) is Trace
        assert running.spans[0].outcome == "running"
    traces.list()
    [ended] = traces.list()
    assert (type(ended), ended.spans[0].outcome) == (ListedTrace, "ok")
    here.close()


def test_an_index_that_cannot_be_written_is_done_without(folder):
    (folder / "traces.index").mkdir()
    assert [len(one) for one in listed(folder)] == [1, 2]
    assert [path.name for path in folder.glob(".*")] == []


def test_spans_that_were_removed_after_the_list_are_said(folder):
    listed(folder)
    traces = listed(folder)
    for path in folder.glob("spans-*"):
        path.unlink()
    assert traces[0].spans == []
    assert traces[0].notes == ("its spans were removed",)
