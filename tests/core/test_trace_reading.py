"""Traces are found in whatever files there are: torn, hostile, another user's, full, rotated."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agentnb
from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.trace import Tracer, read_spans, use
from agentnb.core.trace.finding import Finder
from agentnb.core.trace.process import Process
from agentnb.core.trace.reading import MOST, SpanReader
from agentnb.core.trace.spans import Span
from agentnb.core.trace.writer import Writer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "4bf92f3577b34da6a3ce929d0e0e4737"
PROCESS = {"pid": 7, "host": "ada", "role": "worker q", "owner": "boot|1|7|99"}


@pytest.fixture(autouse=True)
def outside_of_any_trace():
    with use(None):
        yield


def line(number=1, *, trace=TRACE, parent=None, **more):
    """Return a line of a span, as a process writes it."""
    record = {
        "name": "query",
        "service": "db",
        "started": 1_700_000_000.0 + number,
        "ms": 1.5,
        "outcome": "ok",
        "attempt": 1,
        "trace_id": trace,
        "span_id": f"{number:016x}",
        "parent_id": None if parent is None else f"{parent:016x}",
        "correlation_id": None,
    }
    return json.dumps(record | more, separators=(",", ":"))


def write(folder, *lines, pid=7, process=PROCESS):
    first = [json.dumps({"process": process}, separators=(",", ":"))] if process else []
    path = folder / f"spans-{pid}.jsonl"
    path.write_bytes("\n".join([*first, *lines, ""]).encode("utf-8", "surrogatepass"))
    return path


def ids(folder, trace=TRACE):
    return [span.span for span in read_spans(folder, trace)]


def test_the_spans_of_all_processes_are_read_by_start(tmp_path):
    write(tmp_path, line(3), line(1), line(9, trace=OTHER), pid=7)
    write(tmp_path, line(2, parent=1), pid=8, process=PROCESS | {"pid": 8, "role": "agents"})
    spans = read_spans(tmp_path, TRACE)
    assert [(span.span, span.process) for span in spans] == [
        (1, Process(7, "ada", "worker q")),
        (2, Process(8, "ada", "agents")),
        (3, Process(7, "ada", "worker q")),
    ]
    assert ids(tmp_path, OTHER) == [9]


def test_a_span_is_read_as_it_was_written(tmp_path):
    tracer = Tracer(tmp_path)
    with pytest.raises(ValueError, match="no"), tracer.span("GET", service="api", attempt=2) as one:
        one.links = ("0000000000000007",)
        one.attributes = {"url": "http://h/", "odd": "\udcff", "list": [1, None]}
        raise ValueError("no")
    tracer.close()
    (found,) = read_spans(tmp_path, one.trace_id)
    assert found.to_dict() == one.to_dict()
    assert Span.from_dict(found.to_dict()).to_dict() == one.to_dict()


def test_the_end_of_a_span_wins_wherever_it_is(tmp_path):
    begun = line(1, open=True, outcome="running", ms=0, kind="work")
    write(tmp_path, line(1, kind="work"), begun)
    assert [span.outcome for span in read_spans(tmp_path, TRACE)] == ["ok"]
    write(tmp_path, begun, begun, line(1, kind="work", outcome="ValueError"))
    assert [span.outcome for span in read_spans(tmp_path, TRACE)] == ["ValueError"]


def test_what_a_file_without_its_process_says_is_still_read(tmp_path):
    write(tmp_path, line(1), process=None)
    (span,) = read_spans(tmp_path, TRACE)
    assert span.process is None


ODD = [
    "",
    "{}",
    "null",
    '["trace_id"]',
    line(1)[:-9],
    line(1)[10:],
    line(2, started=-1),
    line(2, started=1e300),
    line(2, ms=-5),
    line(2, ms="long"),
    line(2, attempt=None),
    line(2, kind="dance"),
    line(2, span_id="7"),
    line(2, span_id="x" * 16),
    line(2, parent_id="../../etc/passwd"),
    line(2, attributes=[1]),
    line(2, trace="no id"),
    line(2, trace=OTHER, attributes={"trace_id": TRACE, "parent_id": None}),
    line(2, trace=OTHER, parent=1, attributes={"dropped": {"spans": 7, "since": 0, "until": 9e9}}),
    '{"dropped":{"spans":"many","since":0,"until":9000000000}}',
    '{"process":{"pid":"seven"}}',
    '{"open":' + "[" * 5000,
]


@pytest.mark.parametrize("odd", ODD)
def test_a_line_that_is_no_span_hides_no_other(tmp_path, odd):
    write(tmp_path, line(5), odd, line(6))
    assert ids(tmp_path) == [5, 6]
    reader = SpanReader(tmp_path)
    assert reader.read([TRACE]).gaps == []
    assert reader.roots()[0].trace_id == TRACE


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.integers(1, 5).map(lambda n: line(n).encode()),
            st.tuples(st.integers(1, 5), st.integers(0, 300)).map(
                lambda cut: line(cut[0]).encode()[: cut[1]]
            ),
            st.text(max_size=30).map(lambda text: line(4, name=text, error=text).encode()),
        ),
        max_size=12,
    )
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_hostile_bytes_hide_no_whole_line_and_raise_nothing(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("spans", numbered=True)
    path = folder / "spans-7.jsonl"
    path.write_bytes(b"\n".join([*lines, line(77).encode(), line(78, parent=77).encode(), b""]))
    found = ids(folder)
    assert found[-2:] == [77, 78]
    assert len(found) == len(set(found))
    reader = SpanReader(folder)
    assert TRACE in {root.trace_id for root in reader.roots()}
    assert TRACE in reader.trace_ids(TRACE[:6])
    assert reader.failed_ids() == set()
    path.unlink()


def test_a_prefix_of_two_traces_is_refused_with_both(tmp_path):
    write(tmp_path, line(1), line(2, trace=OTHER))
    tracer = Tracer(tmp_path)
    with pytest.raises(UsageError, match="2 traces begin with 4bf92f") as raised:
        Finder(tracer).get(TRACE[:6])
    assert TRACE in raised.value.hint
    assert OTHER in raised.value.hint
    assert Finder(tracer).get(OTHER).id == OTHER
    tracer.close()


def test_an_unknown_trace_is_not_found_with_the_nearest(tmp_path):
    write(tmp_path, line(1))
    tracer = Tracer(tmp_path)
    with pytest.raises(NotFoundError) as raised:
        Finder(tracer).get("4bf92f75")
    assert "did you mean 4bf92f35?" in raised.value.hint
    tracer.close()


def test_a_trace_whose_beginning_was_removed_says_so(tmp_path):
    write(tmp_path, line(5, parent=1))
    mark = tmp_path / "spans.gone"
    mark.touch()
    os.utime(mark, (1_700_000_000, 1_700_000_000))
    tracer = Tracer(tmp_path)
    assert Finder(tracer).get(TRACE).notes == ()
    os.utime(mark, (1_700_000_006, 1_700_000_006))
    (note,) = Finder(tracer).get(TRACE).notes
    assert note == "older spans are gone (kept 7 days, 200 MB)"
    with pytest.raises(NotFoundError) as raised:
        Finder(tracer).get("abcdef")
    assert "older spans are gone" in raised.value.hint
    tracer.close()


def test_dropped_spans_are_said_by_the_trace_in_whose_time_they_were(tmp_path):
    gap = '{"dropped":{"spans":%d,"since":%f,"until":%f}}'
    began = 1_700_000_000.0
    write(
        tmp_path,
        line(5),
        gap % (70, began, began + 1),
        line(9, parent=5),
        gap % (1500, began + 6, began + 7),
        gap % (2, began + 7, began + 8),
        gap % (50, began + 60, began + 61),
    )
    (note,) = Finder(Tracer(tmp_path)).get(TRACE).notes
    assert note == "1,502 spans of worker q (pid 7) were dropped: too many at once"


def test_a_burst_that_cannot_wait_is_counted_in_the_file(tmp_path):
    tracer = Tracer(tmp_path)
    tracer._writer = Writer(
        tracer._writer._file, tracer._writer._line, waiting=10, pause=60, gap=tracer._writer._gap
    )
    with tracer.span("import", kind="cell") as run:
        for _ in range(25):
            with tracer.span("query", service="db"):
                pass
    trace = Finder(tracer).get(run.trace_id)
    assert tracer.dropped == 25 - 9  # one place is taken by the beginning of the cell
    assert trace.roots[0].outcome == "ok"
    assert trace.notes == (
        f"16 spans of script (pid {os.getpid()}) were dropped: too many at once",
    )
    tracer.close()


def test_a_hundred_thousand_spans_in_a_loop_may_wait(tmp_path):
    tracer = Tracer(tmp_path)
    tracer._writer._pause = 60
    assert tracer._writer._waiting == 100_000
    tracer.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_said_by_the_trace_and_by_the_health(tmp_path, caplog):
    home = tmp_path / ".agentnb"
    with agentnb.connect(home=home, database_url="sqlite://") as hub:
        (home / "logs").mkdir(mode=0o700, parents=True)
        home.chmod(0o700)
        (home / "logs" / f"spans-{os.getpid()}.jsonl").symlink_to("/dev/full")
        with hub.trace.run("nightly"):
            hub.db.query("select 1")
        trace = hub.trace.last()
        assert [span.name for span in trace.roots] == ["nightly"]
        (note,) = trace.notes
        assert note.startswith("spans of this process are no longer written: OSError")
        assert "no spans are written: OSError" in hub.health(30).note
        assert hub.trace.dropped > 0
    warnings = [record for record in caplog.records if "no longer written" in record.message]
    assert len(warnings) == 1


def test_files_of_another_user_are_skipped_and_said(tmp_path, monkeypatch):
    write(tmp_path, line(5))
    theirs = write(tmp_path, line(6), pid=8)
    read_bytes = Path.read_bytes

    def refused(path):
        if path == theirs:  # root, as tests may run, can read any file
            raise PermissionError(13, "Permission denied")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    trace = Finder(Tracer(tmp_path)).get(TRACE)
    assert [span.span for span in trace.spans] == [5]
    assert trace.notes == ("a file of another user could not be read",)


def test_a_trace_of_very_many_spans_is_cut_at_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr("agentnb.core.trace.reading.MOST", 3)
    write(tmp_path, *(line(number) for number in (5, 4, 3, 2, 1)))
    trace = Finder(Tracer(tmp_path)).get(TRACE)
    assert [span.span for span in trace.spans] == [1, 2, 3]
    assert trace.notes == ("only the first 3 of 5 spans are shown",)
    assert MOST == 50_000


def test_spans_in_memory_that_no_file_has_are_masked():
    tracer = Tracer()
    with tracer.span("GET", service="api", url="https://ada:s3cret@host/", token="abcdefgh"):
        pass
    (span,) = next(Finder(tracer).ended()).spans
    assert "s3cret" not in str(span.attributes)
    assert "abcdefgh" not in str(span.attributes)
    assert tracer.recent()[0].attributes["token"] == "abcdefgh"


def test_failed_traces_are_found_among_many(tmp_path):
    lines = [line(n, trace=f"{n:032x}") for n in range(1, 60)]
    lines += [line(100, trace=f"{7:032x}", parent=7, outcome="ValueError")]
    lines += [line(101, trace=f"{5:032x}", parent=5, outcome="running", open=True, kind="work")]
    write(tmp_path, *lines, process=PROCESS | {"owner": os_owner()})
    found = Finder(Tracer(tmp_path))
    assert [int(trace.id, 16) for trace in found.newest(10, failed=True)] == [7, 5]
    assert [int(trace.id, 16) for trace in found.newest(2, failed=False)] == [59, 58]
    assert len(found.newest(100, failed=None)) == 59


def os_owner():
    """Return the identity of a process of this host that has ended."""
    from agentnb.core.work.identity import new_owner

    host, space, *_ = new_owner().split("|")
    return f"{host}|{space}|{2**22 + 1}|1"


def test_a_trace_whose_lines_are_all_damaged_is_not_found(tmp_path):
    write(tmp_path, line(1, name=5, attributes={"job": "j-1"}), line(2, ms="x"))
    finder = Finder(Tracer(tmp_path))
    try:
        for look in (
            lambda: finder.get(TRACE[:8]),
            lambda: finder.get(TRACE),
            lambda: finder.about("job", "j-1"),
        ):
            with pytest.raises(NotFoundError, match="in this home"):
                look()
    finally:
        finder._tracer.close()
