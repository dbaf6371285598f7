from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import msgspec  # noqa: F401 - the quick encoder is there
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.redact import Redactor, Secret
from agentnb.core.trace import (
    Context,
    Tracer,
    current,
    files,
    parse_traceparent,
    read_spans,
    start_trace,
    traceparent,
    use,
)
from agentnb.core.trace.files import LinesFile, clean, encode
from agentnb.core.trace.writer import Writer

HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def written(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted(folder.iterdir()))


def fork():
    """Fork, with a child that cannot outlive the test by hanging."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is the point
        child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
    return child


def test_a_users_span_needs_no_service_and_holds_the_spans_of_services(tracer):
    with tracer.span("nightly import", rows=3) as mine, tracer.span("query", service="db"):
        pass
    query, span = tracer.recent()
    assert (span.name, span.service, span.attributes) == ("nightly import", "app", {"rows": 3})
    assert query.parent_id == mine.span_id


def test_a_traceparent_survives_the_round_trip():
    context = parse_traceparent(HEADER)
    assert (context.trace_id, context.span_id) == (
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "00f067aa0ba902b7",
    )
    with use(context):
        assert traceparent() == HEADER


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "hello",
        HEADER.upper(),
        HEADER + "\n",
        " " + HEADER,
        HEADER + "-more",
        HEADER[:-3],
        HEADER.replace("00-4", "0-4", 1),
        "ff" + HEADER[2:],
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        HEADER.replace("4bf9", "4bg9"),
        HEADER.replace("4bf9", "４bf9"),  # noqa: RUF001 - a digit that int() would take
    ],
)
def test_a_malformed_traceparent_is_no_context(text):
    assert parse_traceparent(text) is None


def test_a_later_version_may_carry_more_fields():
    assert parse_traceparent("cc" + HEADER[2:] + "-what-comes").span_id == "00f067aa0ba902b7"


def test_outside_of_a_trace_there_is_no_traceparent():
    assert current() is None
    assert traceparent() is None


def test_spans_of_a_cell_share_its_trace_and_correlation_id():
    tracer = Tracer()
    cell = start_trace(correlation_id="order-17")
    with tracer.span("query", service="db"):
        pass
    with tracer.span("get", service="cache"):
        pass
    spans = tracer.trace(cell.trace_id)
    assert [span.name for span in spans] == ["query", "get"]
    assert {span.parent_id for span in spans} == {cell.span_id}
    assert {span.correlation_id for span in spans} == {"order-17"}
    assert start_trace().trace_id != cell.trace_id


def test_a_trace_continues_the_callers_header_and_ignores_a_malformed_one():
    here = start_trace(parent=HEADER)
    assert here.traceparent == HEADER
    assert start_trace(parent="junk").trace_id != here.trace_id


def test_a_span_inside_a_span_has_it_as_its_parent():
    tracer = Tracer()
    with tracer.span("handle", service="api") as outer:
        assert traceparent() == f"00-{outer.trace_id}-{outer.span_id}-01"
        with tracer.span("query", service="db") as inner:
            assert current() is inner
        assert current() is outer
    assert current() is None
    assert outer.parent_id is None
    assert (inner.trace_id, inner.parent_id) == (outer.trace_id, outer.span_id)


def test_a_span_without_a_trace_starts_its_own():
    tracer = Tracer()
    for _ in range(2):
        with tracer.span("query", service="db"):
            pass
    first, second = tracer.recent(2)
    assert first.trace_id != second.trace_id


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_span_records_the_error_and_lets_it_through(error):
    tracer = Tracer()
    with pytest.raises(error), tracer.span("query", service="db"):
        raise error
    (span,) = tracer.recent()
    assert span.outcome == error.__name__
    assert current() is None


def test_a_span_keeps_what_its_block_found_out():
    tracer = Tracer()
    with tracer.span("get", service="cache", attempt=2, key="rates") as span:
        span.outcome = "miss"
        span.attributes["bytes"] = 10
    (kept,) = tracer.recent()
    assert (kept.outcome, kept.attempt, kept.attributes) == (
        "miss",
        2,
        {"key": "rates", "bytes": 10},
    )
    assert kept.ms >= 0
    assert abs(kept.started.timestamp() - time.time()) < 60


def test_the_ring_keeps_only_the_latest_spans():
    tracer = Tracer(ring=5)
    for number in range(12):
        with tracer.span(str(number), service="db"):
            pass
    assert [span.name for span in tracer.recent(100)] == ["7", "8", "9", "10", "11"]
    assert [span.name for span in tracer.recent(2)] == ["10", "11"]
    assert tracer.recent(0) == []


def test_a_span_in_the_ring_keeps_nothing_else_alive():
    tracer = Tracer()
    with tracer.span("outer", service="db"), tracer.span("inner", service="db"):
        pass
    for span in tracer.recent():
        assert span._token is None
        assert span._tracer is None


def test_eight_threads_make_spans_that_do_not_mix(tracer):
    start = threading.Barrier(8)
    traces = {}

    def work(name):
        start.wait()
        cell = start_trace(correlation_id=name)
        for _ in range(200):
            with tracer.span("outer", service=name), tracer.span("inner", service=name):
                pass
            tracer.recent(5)
        traces[name] = cell.trace_id

    threads = [threading.Thread(target=work, args=(f"thread-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tracer.close()
    assert len(set(traces.values())) == 8
    for name, trace_id in traces.items():
        spans = read_spans(tracer.path, trace_id)
        assert len(spans) == 400
        assert {(span.service, span.correlation_id) for span in spans} == {(name, name)}
    assert len(tracer.recent(10_000)) == 2000
    assert tracer.dropped == 0


def test_a_context_crosses_into_a_thread():
    tracer = Tracer()
    seen = []

    def work(context):
        seen.append(current())
        with use(context), tracer.span("query", service="db") as span:
            seen.append(span.parent_id)
        seen.append(current())

    with tracer.span("handle", service="api") as span:
        thread = threading.Thread(target=work, args=(current(),))
        thread.start()
        thread.join()
    assert seen == [None, span.span_id, None]


def test_a_generator_closed_in_another_context_does_no_harm():
    tracer = Tracer()

    def rows():
        with tracer.span("stream", service="db"):
            yield 1
            yield 2

    stream = rows()
    closing = threading.Thread(target=stream.close)
    next(stream)
    closing.start()
    closing.join()
    assert tracer.recent(1)[0].outcome == "GeneratorExit"


def test_seeding_random_neither_repeats_ids_nor_changes_the_users_numbers():
    tracer = Tracer()
    ids, numbers = set(), set()
    for _ in range(2):
        random.seed(42)
        with tracer.span("query", service="db") as span:
            ids.add(span.trace_id)
        numbers.add(random.random())
    assert len(ids) == 2
    assert len(numbers) == 1


def test_written_spans_come_back_as_they_were(tracer):
    with (
        tracer.span("handle", service="api") as outer,
        tracer.span("query", service="db", rows=3, tags=["a", None, 1.5]),
    ):
        pass
    tracer.flush()
    found = read_spans(tracer.path, outer.trace_id)
    assert [span.to_dict() for span in found] == [
        span.to_dict() for span in tracer.trace(outer.trace_id)
    ]
    assert [span.name for span in found] == ["handle", "query"]


def test_the_writer_writes_by_itself(tracer):
    with tracer.span("query", service="db") as span:
        pass
    until = time.monotonic() + 20
    while not (found := read_spans(tracer.path, span.trace_id)):
        assert time.monotonic() < until, "the span was not written"
        time.sleep(0.02)
    assert found[0].name == "query"


def test_no_thread_and_no_folder_before_the_first_span(tmp_path):
    before = threading.active_count()
    tracer = Tracer(tmp_path / "logs")
    assert threading.active_count() == before
    assert not (tmp_path / "logs").exists()
    tracer.close()
    assert not (tmp_path / "logs").exists()


def test_secrets_never_reach_the_file(tmp_path):
    tracer = Tracer(tmp_path, redactor=Redactor(["hunter22"]))
    start_trace(correlation_id="for hunter22")
    with tracer.span(
        "get hunter22",
        service="api",
        url="https://ada:s3cret@host/?token=abcdefgh",
        headers={"Authorization": "Bearer abcdefgh12345", "nested": [{"password": ["abc", "pw"]}]},
        secret=Secret("opensesame"),
        text="it was hunter22",
    ):
        pass
    tracer.close()
    text = written(tmp_path)
    assert "https://ada:" in text
    for secret in ("hunter22", "s3cret", "abcdefgh", "pw", "opensesame"):
        assert secret not in text
    assert all(json.loads(line) for line in text.splitlines())


def test_odd_attributes_are_written_and_stop_nothing(tracer):
    class Broken:
        def __str__(self):
            raise RuntimeError("no text")

    loop = []
    loop.append(loop)
    with tracer.span("all", service="db") as span:
        for name, value in {
            "broken": Broken(),
            "loop": loop,
            "nan": float("nan"),
            "surrogate": "\udcff",
            "path": Path("a/b"),
            "bytes": b"\xff",
            "long": "x" * 1_000_000,
        }.items():
            with tracer.span(name, service="db", value=value):
                pass
    tracer.flush()
    found = {span.name: span.attributes for span in read_spans(tracer.path, span.trace_id)}
    assert len(found) == 8
    assert found["broken"] == {"unwritable": "RuntimeError"}
    assert found["nan"] == {"value": "nan"}
    assert found["path"] == {"value": "a/b"}
    assert len(found["long"]["value"]) < 30_000


def test_two_tracers_of_a_process_share_a_folder(tmp_path):
    tracers = [Tracer(tmp_path, max_bytes=100_000) for _ in range(2)]
    cell = start_trace()
    for _ in range(20):
        for tracer in tracers:
            with tracer.span("query", service="db", text="x" * 2000):
                pass
            tracer.flush()
    for tracer in tracers:
        tracer.close()
    assert len(read_spans(tmp_path, cell.trace_id)) == 40
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_deleted_comes_back(tracer):
    for _ in range(2):
        with tracer.span("query", service="db") as span:
            pass
        tracer.flush()
        assert len(read_spans(tracer.path, span.trace_id)) == 1
        for path in tracer.path.iterdir():
            path.unlink()
        tracer.path.rmdir()


@pytest.mark.parametrize("folder", ["a-file", "/proc/agentnb", "/dev/full/logs"])
def test_a_folder_that_cannot_be_written_breaks_nothing(folder, tmp_path, caplog):
    path = tmp_path / folder
    if folder == "a-file":
        path.write_text("not a folder")
    tracer = Tracer(path)
    for _ in range(3):
        with tracer.span("query", service="db"):
            pass
        tracer.flush()
    tracer.close()
    assert len(tracer.recent()) == 3
    assert tracer.dropped == 3
    assert tracer.failed
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no longer written" in caplog.text


def test_a_folder_that_can_be_written_again_is(tmp_path, caplog, monkeypatch):
    folder = tmp_path / "logs"
    folder.write_text("not a folder")
    tracer = Tracer(folder)
    for mended in (False, False, True, True):
        if mended:
            if folder.is_file():
                folder.unlink()
            monkeypatch.setattr(files, "monotonic", lambda: time.perf_counter() + 1e9)
        with tracer.span("query", service="db") as span:
            pass
        tracer.flush()
    assert (tracer.failed, tracer.dropped) == (None, 2)
    assert [one.span_id for one in read_spans(folder, span.trace_id)] == [span.span_id]
    tracer.close()
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    assert "no longer written" in texts[0]
    assert texts[1] == f"spans are written to {folder} again"


def test_a_line_that_a_full_disk_cut_off_does_not_spoil_the_next_one(tmp_path):
    file = LinesFile(tmp_path, "spans", max_bytes=10**6)
    file.path.write_bytes(b'{"a": 1}\n{"b"')
    file.failed = "OSError: no space"
    assert file.write([b'{"c": 3}\n'])
    assert json.loads(file.path.read_bytes().splitlines()[-1]) == {"c": 3}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_stops_the_writing_only(tmp_path, caplog):
    (tmp_path / f"spans-{os.getpid()}.jsonl").symlink_to("/dev/full")
    tracer = Tracer(tmp_path)
    for _ in range(2):
        with tracer.span("query", service="db"):
            pass
        tracer.flush()
    tracer.close()
    assert "No space left" in tracer.failed
    assert len(caplog.records) == 1
    assert len(tracer.recent()) == 2


def test_a_full_queue_drops_and_counts_instead_of_waiting(tmp_path):
    file = LinesFile(tmp_path, "spans", max_bytes=10**6)
    writer = Writer(file, bytes, waiting=10, pause=60)
    for _ in range(25):
        writer.submit(b"{}\n")
    assert writer.dropped == 15
    writer.close()
    assert len(written(tmp_path).splitlines()) == 10


def test_what_waited_when_the_folder_failed_is_counted_once(tmp_path):
    (tmp_path / "a-file").write_text("not a folder")
    kept = []
    writer = Writer(
        LinesFile(tmp_path / "a-file", "spans", max_bytes=10**6), bytes, lost=kept.extend
    )
    writer._pause = 60
    for _ in range(1200):  # more than one batch
        writer.submit(b"{}\n")
    writer.flush()
    writer.flush()
    assert (writer.dropped, len(kept)) == (1200, 1200)
    writer.close()


def test_a_closed_tracer_still_keeps_spans_in_memory(tracer):
    tracer.close()
    tracer.close()
    with tracer.span("query", service="db"):
        pass
    assert len(tracer.recent()) == 1
    assert not tracer.path.exists()


def test_a_forked_child_writes_to_its_own_file(tracer):
    with tracer.span("parent", service="db") as span:
        pass
    with use(span), tracer._writer._lock, tracer._writer._draining:
        child = fork()
        if not child:
            try:
                with tracer.span("child", service="db"):
                    pass
                tracer.close()
            finally:
                os._exit(0 if tracer.dropped == 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    tracer.close()
    by_file = {
        path.name: [json.loads(line)["name"] for line in path.read_text().splitlines()[1:]]
        for path in tracer.path.iterdir()
    }
    assert by_file == {
        f"spans-{os.getpid()}.jsonl": ["parent"],
        f"spans-{child}.jsonl": ["child"],
    }
    parent, forked = read_spans(tracer.path, span.trace_id)
    assert forked.parent_id == parent.span_id


def test_a_child_forked_while_a_thread_writes_is_not_stuck(tracer):
    held, done = threading.Event(), threading.Event()

    def hold():
        with files._writing:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = fork()
    if not child:
        with tracer.span("child", service="db"):
            pass
        tracer.close()
        os._exit(0)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert [path.name for path in tracer.path.iterdir()] == [f"spans-{child}.jsonl"]


def test_a_forked_child_makes_other_ids():
    read, write = os.pipe()
    child = fork()
    if not child:
        os.write(write, start_trace().trace_id.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 32).decode() != start_trace().trace_id
    os.close(read)
    os.close(write)


def test_a_script_that_just_ends_loses_no_span(tmp_path):
    script = """if True:
        import pathlib, sys
        from agentnb.core.trace import Tracer, start_trace
        tracer = Tracer(pathlib.Path(sys.argv[1]))
        start_trace(parent=sys.argv[2])
        with tracer.span("last", service="db"):
            pass
    """
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), HEADER],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (run.stdout, run.stderr) == ("", "")
    (span,) = read_spans(tmp_path, "4bf92f3577b34da6a3ce929d0e0e4736")
    assert (span.name, span.parent_id) == ("last", "00f067aa0ba902b7")


def test_a_tracer_that_is_dropped_ends_its_thread(tmp_path, until):
    tracer = Tracer(tmp_path)
    with tracer.span("query", service="db"):
        pass
    thread = tracer._writer._thread
    del tracer
    until(lambda: not thread.alive)
    assert '"query"' in written(tmp_path)


def test_a_line_longer_than_the_cap_is_still_written_whole(tmp_path):
    file = LinesFile(tmp_path, "spans", max_bytes=10)
    assert file.write([b"a" * 50 + b"\n", b"b\n"])
    file.close()
    assert file.path.read_bytes() == b"b\n"
    assert file.path.with_name(file.path.name + ".1").read_bytes() == b"a" * 50 + b"\n"


def test_a_context_shows_its_ids():
    assert repr(Context(1, 2)) == f"Context(00-{1:032x}-{2:016x}-01)"


def test_the_trace_loads_nothing_heavy():
    script = """if True:
        import sys
        import agentnb.core.trace, agentnb.core.resilience
        heavy = {"stamina", "tenacity", "sqlalchemy", "msgspec", "IPython", "pandas", "uuid"}
        print(sorted(heavy & set(sys.modules)))
    """
    run = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert run.stdout.strip() == "[]"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),  # lone surrogates, too, as in undecodable names of files
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_line_is_the_same_json_with_and_without_the_quick_encoder(record):
    cleaned = clean(record)
    quick = encode(cleaned)
    found = sys.modules.pop("msgspec")
    try:
        plain = encode(cleaned)
    finally:
        sys.modules["msgspec"] = found
    assert quick.endswith(b"\n")
    assert quick.count(b"\n") == 1
    assert json.loads(quick) == json.loads(plain) == json.loads(json.dumps(cleaned))


def test_what_is_logged_while_the_writers_thread_starts_blocks_nothing(tmp_path, monkeypatch):
    # As the garbage collector does, which may finalise a client at any allocation.
    file = LinesFile(tmp_path, "spans", max_bytes=10**6)
    writer = Writer(file, bytes, pause=0.01)
    finalised = [b"1\n", b"2\n"]

    class Thread(threading.Thread):
        def __init__(self, *words, **options):
            super().__init__(*words, **options)
            while finalised:
                writer.submit(finalised.pop())

        def start(self):
            writer.submit(b"4\n")
            super().start()

    monkeypatch.setattr(threading, "Thread", Thread)
    assert writer.submit(b"3\n")
    writer.close()
    assert sorted(written(tmp_path).split()) == ["1", "2", "3", "4"]


def test_every_name_of_the_package_is_there_and_no_other():
    from agentnb.core import trace

    assert all(getattr(trace, name).__module__.startswith("agentnb.") for name in trace.__all__)
    assert dir(trace) == sorted(trace.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Spam'"):
        _ = trace.Spam
