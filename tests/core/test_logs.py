from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import warnings
from datetime import datetime

import pytest

from agentnb.core.redact import Redactor
from agentnb.core.trace import (
    JsonFormatter,
    LogFile,
    ServiceLog,
    StampFilter,
    Tracer,
    start_trace,
    use,
)

AGENTNB = logging.getLogger("agentnb")
DB = logging.getLogger("agentnb.db")


@pytest.fixture(autouse=True)
def the_loggers_are_left_as_they_were():
    def state():
        # pytest puts its own handlers on a logger that does not propagate
        ours = [
            type(handler)
            for handler in AGENTNB.handlers
            if type(handler).__name__ != "LogCaptureHandler"
        ]
        return AGENTNB.level, AGENTNB.propagate, ours

    before = state()
    yield
    assert state() == before


@pytest.fixture
def log(tmp_path):
    with LogFile(tmp_path / "logs", redactor=Redactor(["hunter22"])) as log:
        yield log


@pytest.fixture
def users_handler():
    """What a user's own handler on the root logger prints."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def lines(log):
    found = [json.loads(line) for line in log.path.read_text().splitlines()]
    # A client of another test's may end just now.
    return [line for line in found if line["logger"] != "agentnb.redis"]


def test_a_record_becomes_one_json_line_with_the_ids_of_its_span(log):
    tracer = Tracer()
    start_trace(correlation_id="order-17")
    with tracer.span("query", service="db") as span:
        DB.info("connected to %s", "main", extra={"data": {"ms": 3, "tables": ["a"]}})
    (line,) = lines(log)
    assert datetime.fromisoformat(line.pop("time")).utcoffset().total_seconds() == 0
    assert line == {
        "level": "INFO",
        "logger": "agentnb.db",
        "message": "connected to main",
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "correlation_id": "order-17",
        "data": {"ms": 3, "tables": ["a"]},
    }


def test_outside_of_a_trace_the_ids_are_null(log):
    DB.info("hello\nworld")
    (line,) = lines(log)
    assert (line["trace_id"], line["span_id"], line["correlation_id"]) == (None, None, None)
    assert line["message"] == "hello\nworld"


def test_an_error_is_logged_with_its_traceback(log):
    try:
        json.loads("redis://ada:s3cret@host")
    except ValueError:
        DB.exception("failed", stack_info=True)
    (line,) = lines(log)
    assert line["error"].startswith("Traceback")
    assert "JSONDecodeError" in line["error"]
    assert "s3cret" not in line["error"]
    assert "test_logs" in line["stack"]


def test_secrets_never_reach_the_file(log):
    start_trace(correlation_id="of hunter22")
    DB.warning(
        "GET https://ada:s3cret@host/?token=%s",
        "abcdefgh",
        extra={"data": {"password": "opensesame", "list": [{"text": "hunter22"}]}},
    )
    try:
        int("password='letmein' hunter22")
    except ValueError:
        DB.exception("hunter22")
    text = log.path.read_text()
    assert len(lines(log)) == 2
    for secret in ("hunter22", "s3cret", "abcdefgh", "opensesame", "letmein"):
        assert secret not in text


def test_a_record_says_what_was_so_when_it_was_logged(log):
    class Counter:
        n = 0

        def __str__(self):
            return f"counted {self.n}"

    counter, data, deep = Counter(), {"n": 0}, {"inner": [0]}
    DB.info(counter)
    DB.info("flat", extra={"data": data})
    DB.info("deep", extra={"data": deep})
    DB.info("counter is at %s", counter)
    counter.n = data["n"] = deep["inner"][0] = 1
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line["message"] for line in lines] == [
        *("counted 0", "flat", "deep", "counter is at counted 0")
    ]
    assert [line.get("data") for line in lines] == [None, {"n": 0}, {"inner": [0]}, None]


def test_a_record_that_cannot_be_formatted_is_kept_and_nothing_is_printed(tmp_path, capfd):
    class Broken:
        def __str__(self):
            raise RuntimeError("no text")

        __repr__ = __str__

    with LogFile(tmp_path, redactor=Redactor()) as log:
        DB.info("%d rows", "many")
        DB.info(Broken())
        DB.info("odd", extra={"data": {"value": Broken()}})
    messages = [(line["message"], line.get("data")) for line in lines(log)]
    assert messages == [
        ("%d rows (unformatted: TypeError)", None),
        ("Broken (unformatted: RuntimeError)", None),
        ("odd", "unwritable: RuntimeError"),
    ]
    assert capfd.readouterr() == ("", "")


def test_only_info_and_above_is_written_and_nothing_after_closing(log):
    DB.debug("no")
    DB.info("yes")
    log.attach()
    log.close()
    log.close()
    DB.warning("too late")
    assert [line["message"] for line in lines(log)] == ["yes"]


def test_no_file_before_the_first_record(log):
    assert not log.path.parent.exists()


def test_a_level_that_the_user_has_set_is_not_changed(tmp_path):
    AGENTNB.setLevel(logging.ERROR)
    try:
        with LogFile(tmp_path, redactor=Redactor()) as log:
            DB.info("no")
            DB.error("yes")
            assert AGENTNB.level == logging.ERROR
        assert AGENTNB.level == logging.ERROR
    finally:
        AGENTNB.setLevel(logging.NOTSET)
    assert [line["message"] for line in lines(log)] == ["yes"]


def test_the_users_handlers_see_what_they_saw_before(log, users_handler, caplog):
    DB.info("chatter")
    DB.warning("important")
    assert users_handler.getvalue() == "important\n"
    assert [record.message for record in caplog.records].count("important") == 1
    assert [line["message"] for line in lines(log)] == ["chatter", "important"]


@pytest.mark.parametrize("name", ["", "agentnb", "agentnb.db"])
def test_a_user_who_asks_for_more_gets_it(name, log, users_handler):
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.DEBUG)
    try:
        log.attach()
        DB.debug("detail")
    finally:
        logger.setLevel(before)
    assert users_handler.getvalue() == "detail\n"
    assert [line["message"] for line in lines(log)] == ["detail"]


def test_a_user_who_silenced_the_logger_hears_nothing(tmp_path, users_handler):
    AGENTNB.propagate = False
    try:
        with LogFile(tmp_path, redactor=Redactor()) as log:
            DB.error("broken")
        assert AGENTNB.propagate is False
    finally:
        AGENTNB.propagate = True
    assert users_handler.getvalue() == ""
    assert len(lines(log)) == 1


def test_attaching_prints_nothing_where_logging_is_not_configured(tmp_path):
    script = """if True:
        import logging, pathlib, sys
        from agentnb.core.redact import Redactor
        from agentnb.core.trace import LogFile
        logger = logging.getLogger("agentnb.db")
        logger.error("before")
        log = LogFile(pathlib.Path(sys.argv[1]), redactor=Redactor())
        log.attach()
        logger.error("during")
        log.close()
        logger.error("after")
    """
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (run.stdout, run.stderr) == ("", "")
    (path,) = tmp_path.iterdir()
    assert '"message":"during"' in path.read_text()


def test_two_hubs_in_a_process_do_not_mix_their_records(tmp_path):
    logs = {hub: LogFile(tmp_path / hub, redactor=Redactor(), hub_id=hub) for hub in ("one", "two")}
    for log in logs.values():
        log.attach()
    DB.info("mine", extra={"hub": "one"})
    logs["one"].close()
    DB.info("yours", extra={"hub": "two"})
    DB.info("anyone's")
    logs["two"].close()
    assert [line["message"] for line in lines(logs["one"])] == ["mine"]
    assert [line["message"] for line in lines(logs["two"])] == ["yours", "anyone's"]


def test_two_files_attached_hand_a_record_on_only_once(tmp_path, users_handler):
    with (
        LogFile(tmp_path / "a", redactor=Redactor()),
        LogFile(tmp_path / "b", redactor=Redactor(), level=logging.DEBUG) as chatty,
    ):
        DB.warning("once")
        DB.debug("detail")
    assert users_handler.getvalue() == "once\n"
    assert [line["message"] for line in lines(chatty)] == ["once", "detail"]


def test_a_folder_that_cannot_be_written_keeps_the_lines_in_memory(tmp_path, capfd):
    blocked = tmp_path / "a-file"
    blocked.write_text("not a folder")
    with LogFile(blocked, redactor=Redactor(["hunter22"])) as log:
        assert log.failed is None
        for number in range(1200):
            DB.warning("number %d of hunter22", number)
    assert "Exists" in log.failed or "NotADirectory" in log.failed
    assert len(log.kept) == 1000
    assert "number 1199 of" in log.kept[-1]
    assert "hunter22" not in "".join(log.kept)
    assert capfd.readouterr() == ("", "")


def test_a_file_past_its_cap_is_rotated(tmp_path):
    with LogFile(tmp_path, redactor=Redactor(), max_bytes=2000) as log:
        for number in range(100):
            DB.info("number %d", number)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"agentnb-{os.getpid()}.jsonl",
        f"agentnb-{os.getpid()}.jsonl.1",
    ]
    assert all(0 < path.stat().st_size <= 2000 for path in tmp_path.iterdir())
    assert lines(log)[-1]["message"] == "number 99"


def test_eight_threads_write_whole_lines(log):
    def work(name):
        for number in range(100):
            logging.getLogger(f"agentnb.{name}").info("%d %s", number, "x" * 500)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [(line["logger"], int(line["message"].split()[0])) for line in lines(log)]
    assert sorted(found) == sorted((f"agentnb.t{n}", i) for n in range(8) for i in range(100))


def test_a_forked_child_logs_to_its_own_file(log):
    DB.info("parent")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests leave threads behind
        child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)  # a child that hangs must not outlive the test
        DB.info("child")
        log.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    DB.info("parent again")
    assert [line["message"] for line in lines(log)] == ["parent", "parent again"]
    other = log.path.with_name(f"agentnb-{child}.jsonl")
    assert '"message":"child"' in other.read_text()


def test_the_stamp_works_on_any_handler_and_keeps_ids_made_elsewhere():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(trace_id)s %(correlation_id)s %(message)s"))
    handler.addFilter(StampFilter())
    foreign = logging.getLogger("some.library")
    foreign.addHandler(handler)
    here = start_trace(correlation_id="c")
    try:
        foreign.warning("hi")
        record = foreign.makeRecord("some.library", logging.WARNING, "", 0, "late", (), None)
        StampFilter().filter(record)
        start_trace()
        foreign.handle(record)
    finally:
        foreign.removeHandler(handler)
    assert stream.getvalue().splitlines() == [
        f"{here.trace_id} c hi",
        f"{here.trace_id} c late",
    ]


def test_the_formatter_works_with_a_handler_of_the_users():
    record = logging.LogRecord("agentnb", logging.INFO, "", 0, "token=abcdefgh", (), None)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert "abcdefgh" not in json.loads(text)["message"]


def lines_of(log):
    return [json.loads(line) for line in log.path.read_text().splitlines()]


@pytest.fixture
def no_records(monkeypatch):
    """Refuse to make a record of the logger of databases, and take pytest's handlers away."""

    def refuse(*_args, **_more):
        raise AssertionError

    def begin():
        ours = [one for one in AGENTNB.handlers if type(one).__name__ != "LogCaptureHandler"]
        AGENTNB.handlers[:] = ours
        monkeypatch.setattr(DB, "makeRecord", refuse)

    return begin


def test_a_line_of_many_is_written_as_a_record_is_without_one(log, no_records):
    service = ServiceLog("db", connection="main")
    with use(start_trace()):
        service.info("connected", extra={"data": {"password": "hunter22"}})
        no_records()
        service.line(logging.INFO, "connected", {"data": {"password": "hunter22"}})
        service.line(logging.DEBUG, "not so loud", {"data": {}})
    record, line = lines_of(log)
    assert line.pop("time") >= record.pop("time")
    assert line == record
    assert line["data"] == {"connection": "main", "password": "••••••"}


def test_a_line_of_many_keeps_the_ids_that_it_was_stamped_with(log, no_records):
    no_records()
    ids = {"trace_id": "a" * 32, "span_id": "b" * 16, "correlation_id": "order-17"}
    ServiceLog("db").line(logging.INFO, "connected", {"data": {}, **ids})
    (line,) = lines_of(log)
    assert {name: line[name] for name in ids} == ids


def test_a_line_of_many_goes_to_the_file_of_its_hub(tmp_path, no_records):
    files = [LogFile(tmp_path / name, redactor=Redactor(), hub_id=name) for name in ("a", "b")]
    with files[0] as first, files[1] as second:
        no_records()
        ServiceLog("db", "a").line(logging.INFO, "for a", {"data": {}})
        ServiceLog("db").line(logging.INFO, "for both", {"data": {}})
        assert [line["message"] for line in lines_of(first)] == ["for a", "for both"]
        assert [line["message"] for line in lines_of(second)] == ["for both"]


def test_other_handlers_see_a_line_of_many(log, users_handler):
    service = ServiceLog("db")
    logging.getLogger().setLevel(logging.INFO)
    try:
        service.line(logging.INFO, "to the root", {"data": {}})
    finally:
        logging.getLogger().setLevel(logging.WARNING)
    assert "to the root" in users_handler.getvalue()
    own = logging.StreamHandler(io.StringIO())
    DB.addHandler(own)
    DB.addFilter(lambda record: record.msg != "filtered")
    try:
        service.line(logging.INFO, "to its own", {"data": {}})
        service.line(logging.INFO, "filtered", {"data": {}})
        service.line(logging.INFO, "with %s", {"data": {"objects": [object]}})
    finally:
        DB.removeHandler(own)
        DB.filters.clear()
    assert own.stream.getvalue().splitlines() == ["to its own", "with %s"]
    assert len(lines_of(log)) == 3


def test_a_line_of_many_is_logged_without_any_file(caplog):
    caplog.set_level(logging.INFO, "agentnb.db")
    ServiceLog("db").line(logging.INFO, "nobody writes", {"data": {"n": 1}})
    assert caplog.records[0].data == {"n": 1}
