"""``agentnb worker``, run as people run it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
from datetime import datetime

import pytest

from agentnb.core.modules import module_path
from agentnb.core.queue import TaskQueue
from agentnb.core.redis import RedisClient
from agentnb.core.redis.binary import find_binary
from tests.waiting import until

_NUMBERS = itertools.count(1)

JOBS = """
import os, time
from agentnb.core.queue import processor

def echo(job):
    return job.data

def fail(job):
    raise ValueError(f"no {job.data}")

def mixed(job):
    if isinstance(job.data, str):
        raise ValueError(job.data)
    return job.data

def slow(job):
    open("began", "w").close()
    time.sleep(job.data)
    return "slow"

def forks(job):
    # Terminates a child that this worker forked, and returns its exit code.
    import multiprocessing
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    time.sleep(0.2)
    child.terminate()
    child.join(10)
    code = child.exitcode
    child.kill()
    return code

def pools(job):
    # Each pool terminates its processes as soon as they have begun.
    import multiprocessing
    for _ in range(10):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.map(abs, range(job.data))
    return found

def recorded(job):
    found = job.hub.db.query("select :n as n", {"n": job.data}).scalar()
    if found > 7:
        raise ValueError(f"{found} has failed")
    return found

@processor("letters", timeout=60)
async def letters(job):
    return job.data.upper()

@processor("numbers")
def numbers(job):
    return job.data + 1
"""


@pytest.fixture
def home(steady_home):
    return steady_home


@pytest.fixture
def queues(home):
    with RedisClient(home=home) as client, TaskQueue(client) as queues:
        yield queues


@pytest.fixture
def queue(queues):
    return queues.get_queue(f"q{next(_NUMBERS)}")


@pytest.fixture
def worker(start_worker, home, tmp_path):
    """Return what starts a worker in a folder with some processors."""
    (tmp_path / "jobs.py").write_text(JOBS)
    return lambda *words, **options: start_worker(home, *words, **options)


def keep(home, queue, source):
    """Keep a cell's module as a notebook does: at once, and readable by its owner alone."""
    path = module_path(home, "queue", queue.name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = source.replace("QUEUE", queue.name)
    scratch = path.with_suffix(".new")
    scratch.write_text(f"from agentnb.core.queue import processor\n{text}\n")
    scratch.chmod(0o600)
    scratch.replace(path)
    return path


def says(word):
    return f"@processor('QUEUE')\ndef cell(job):\n    return {word!r}"


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        ([], "no queue is named", "agentnb worker QUEUE, or --app MODULE"),
        (["mail"], "mail has no processor", "--processor pkg.module:function, or --app"),
        (["mail", "--processor", "jbos:echo"], "there is no module jbos", "did you mean jobs?"),
        (["mail", "--processor", "jobs:ehco"], "jobs has no ehco", "did you mean echo?"),
        (
            ["mail", "--processor", "jobs"],
            "--processor must be MODULE:FUNCTION, got 'jobs'",
            "pkg.module:function",
        ),
        (["mail", "--app", "jobs"], "jobs has no processor for mail", "it has: letters, numbers"),
        (["leters", "--app", "jobs"], "no processor for leters", "did you mean letters?"),
        (["mail", "--app", "broken"], "broken cannot be imported: NameError", "import broken"),
        (["mail", "--app", "needs"], "No module named 'no_such_thing'", "import needs"),
        (["mail", "--app", "jobs.py"], "there is no module jobs.py", "a package: --app jobs"),
        (["mail", "--app", "empty"], "empty marks no function", "@processor('QUEUE')"),
        (["a", "a", "--app", "jobs"], "a queue is named twice", None),
        (["mail", "--concurrency", "0"], "must be 1 to 1,000, got", "agentnb worker --help"),
        (["mail", "--grace", "soon"], "must be greater than 0 s, got", "agentnb worker --help"),
        (["mail", "--proces"], "no such option: --proces", "did you mean --process"),
        (["a b", "--processor", "jobs:echo"], "a queue cannot be called 'a b'", "use a word"),
    ],
)
def test_a_wrong_call_is_a_short_error_with_a_hint(worker, tmp_path, words, what, hint):
    (tmp_path / "broken.py").write_text("nothing")
    (tmp_path / "needs.py").write_text("import no_such_thing")
    (tmp_path / "empty.py").write_text("")
    one = worker(*words)
    assert one.wait() == 2
    assert what in one.lines[0]
    assert hint is None or hint in one.lines[1]
    assert len(one.lines) <= 2


def test_a_server_that_is_away_is_an_error_at_the_start(worker):
    one = worker("mail", "--processor", "jobs:echo", REDIS_URL="redis://:hunter22x@127.0.0.1:1")
    assert one.wait() == 2
    assert one.lines[0].startswith("agentnb: ")
    assert "hunter22x" not in "".join(one.lines)


def test_a_worker_waits_at_its_start_for_a_server_that_is_away(worker, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"redis://127.0.0.1:{port}"
    one = worker("mail", "--processor", "jobs:echo", "--wait", "60", REDIS_URL=url)
    one.hear("waiting up to 60 s: ")
    command = [find_binary(), "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            one.hear("worker started", 60)
            assert one.end() == 0
        finally:
            server.kill()


def test_draining_shows_a_line_for_each_job_and_ends(worker, queue):
    good = [queue.add(n) for n in range(3)]
    one = worker(queue.name, "--processor", "jobs:echo", "--drain")
    assert one.wait() == 0
    for job in good:
        one.hear(rf"^\d\d:\d\d:\d\d  {queue.name}  {job.id}  completed +\d+ ms$", 0)
    assert "echo (jobs:echo), 5 threads" in one.lines[0]
    assert one.lines[-1].endswith("stopped: 3 completed, 0 failed")
    assert [job.result(0) for job in good] == [0, 1, 2]
    assert not [line for line in one.lines if "█" in line or "\r" in line]


def test_a_failed_attempt_is_told_with_its_error(worker, queue):
    job = queue.add("stamps", attempts=2, backoff=0.01)
    one = worker(queue.name, "--processor", "jobs:fail", "--drain")
    assert one.wait() == 0
    one.hear(rf"{job.id}  failed, 1 left .* attempt 1: ValueError: no stamps", 0)
    one.hear(rf"{job.id}  failed  .* attempt 2: ValueError: no stamps", 0)
    assert one.lines[-1].endswith("stopped: 0 completed, 1 failed, 1 tried again")


@pytest.mark.parametrize("extra", [[], ["--processes", "--concurrency", "1"]])
def test_a_json_log_has_an_object_for_each_line(worker, queue, extra):
    good, bad = queue.add(1), queue.add("x" * 9000, attempts=1)
    one = worker(queue.name, "--processor", "jobs:mixed", "--drain", "--log", "json", *extra)
    assert one.wait() == 0
    found = [json.loads(line) for line in one.lines]
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in found)
    [failed] = [line for line in found if line["level"] == "ERROR"]
    assert failed["data"]["job_id"] == bad.id
    assert "ValueError" in failed["message"]
    [done] = [line for line in found if line.get("data", {}).get("job_id") == good.id]
    assert (done["level"], done["logger"]) == ("INFO", "agentnb.queue")
    assert done["data"]["ms"] >= 0
    assert found[-1]["message"] == "stopped: 1 completed, 1 failed"
    assert extra or "in mixed" in failed["error"]  # the exception itself stays in its process


def test_a_text_log_has_the_date_the_zone_and_the_level(worker, queue):
    queue.add("y", attempts=1)
    one = worker(queue.name, "--processor", "jobs:mixed", "--drain", "--log", "text")
    assert one.wait() == 0
    for line in one.lines:
        moment, level = line.split()[:2]
        assert datetime.fromisoformat(moment).tzinfo is not None
        assert level == ("ERROR" if "ValueError" in line else "INFO")
    one.hear(rf"ERROR   {queue.name}  \w+  failed", 0)


def test_quiet_leaves_out_the_lines_of_jobs(worker, queue):
    queue.add(1)
    one = worker(queue.name, "--processor", "jobs:echo", "--drain", "--quiet")
    assert one.wait() == 0
    assert not [line for line in one.lines if "completed  " in line]
    assert one.lines[-1].endswith("stopped: 1 completed, 0 failed")


def test_an_app_brings_all_its_queues(worker, queues):
    jobs = [queues.get_queue("letters").add("a"), queues.get_queue("numbers").add(1)]
    one = worker("--app", "jobs", "--drain", "--concurrency", 1)
    assert one.wait() == 0
    assert [job.result(0) for job in jobs] == ["A", 2]
    assert "letters (jobs:letters), 1 thread," in one.lines[0]


def test_a_file_that_an_app_holds_in_a_circle_is_written_whole(queue, worker, tmp_path):
    (tmp_path / "diary.py").write_text(
        "class Diary:\n"
        "    def __init__(self):\n"
        "        self.file, self.itself = open('diary', 'w'), self\n"
        "DIARY = Diary()\n"
        "def note(job):\n"
        "    DIARY.file.write(job.data)\n"  # the end of the process closes the file
    )
    queue.add("dear diary")
    assert worker(queue.name, "--processor", "diary:note", "--drain").wait() == 0
    assert (tmp_path / "diary").read_text() == "dear diary"


def test_a_terminal_has_a_bar(queue, home, tmp_path, worker):
    assert worker
    for n in range(20):
        queue.add(n)
    mine, theirs = pty.openpty()
    words = [queue.name, "--processor", "jobs:echo", "--drain"]
    with subprocess.Popen(
        [sys.executable, "-m", "agentnb.cli", "worker", *words],
        cwd=tmp_path,
        env={**os.environ, "AGENTNB_HOME": str(home), "COLUMNS": "80", "TERM": "xterm"},
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # that is how a terminal ends
            while piece := os.read(mine, 65536):
                text += piece
        os.close(mine)
        assert process.wait(120) == 0
    shown = text.decode()
    assert "\r\x1b[K" in shown
    assert re.search(r"█{28} 100%  20 of 20  \d+ a second", shown)
    bars = [one for one in re.split(r"[\r\n]|\x1b\[K", shown) if "a second" in one]
    assert max(map(len, bars)) < 80


def test_workers_of_a_process_are_known_as_such(worker, queue):
    one = worker(queue.name, "--processor", "jobs:echo", "--concurrency", 2)
    one.hear("worker started")
    (info,) = until(queue.workers)
    assert (info.kind, info.pid, info.concurrency) == ("process", one.pid, 2)
    assert info.processor == "echo (jobs:echo)"
    assert one.end() == 0
    assert queue.workers() == []


@pytest.mark.parametrize("extra", [[], ["--processes"]], ids=["threads", "processes"])
def test_sigterm_lets_what_runs_end(worker, queue, tmp_path, extra):
    one = worker(queue.name, "--processor", "jobs:slow", "--concurrency", 1, *extra)
    job, next_one = queue.add(0.6), queue.add(0)
    until((tmp_path / "began").exists)
    assert one.end() == 0
    one.hear("stopping: 1 running, up to 30 s", 0)
    assert job.result(0) == "slow"
    assert (next_one.state, next_one.refresh().attempt) == ("waiting", 0)


@pytest.mark.parametrize("extra", [[], ["--processes"]], ids=["threads", "processes"])
def test_what_runs_longer_than_its_grace_goes_back_uncounted(worker, queue, tmp_path, extra):
    one = worker(queue.name, "--processor", "jobs:slow", "--grace", 0.2, *extra)
    job = queue.add(60)
    until((tmp_path / "began").exists)
    assert one.end(seconds=10) == 0
    one.hear(f"{job.id}  job is released", 0)
    assert (job.state, job.refresh().attempt) == ("waiting", 0)


@pytest.mark.parametrize("extra", [[], ["--processes"]])
def test_a_second_signal_ends_at_once(worker, queue, tmp_path, extra):
    one = worker(queue.name, "--processor", "jobs:slow", "--concurrency", 1, *extra)
    job = queue.add(60)
    until((tmp_path / "began").exists)
    one.process.send_signal(signal.SIGINT)
    one.hear("stopping: .*again: at once")
    assert one.end(signal.SIGTERM, 10) == 143
    assert job.state == "active"
    queue.work(lambda job: job.attempt)
    assert job.result(25) == 2


@pytest.mark.parametrize("extra", [[], ["--processes"]], ids=["threads", "processes"])
def test_a_process_that_a_job_forks_can_be_terminated_and_stops_no_worker(worker, queue, extra):
    jobs = [queue.add(None) for _ in range(2)]
    one = worker(queue.name, "--processor", "jobs:forks", "--concurrency", "1", *extra)
    assert [job.result(60) for job in jobs] == [-signal.SIGTERM] * 2
    assert one.process.poll() is None
    one.end()


def test_a_pool_of_processes_ends_with_its_block_in_a_job(worker, queue):
    job = queue.add(3, timeout=60, attempts=1)
    worker(queue.name, "--processor", "jobs:pools", "--concurrency", "1")
    assert job.result(90) == [0, 1, 2]


def test_a_kept_cell_is_run_and_the_next_one_replaces_it(worker, queue, home):
    path = keep(home, queue, says("one"))
    one = worker(queue.name)
    assert queue.add().result(120) == "one"
    keep(home, queue, says("two"))
    assert queue.add().result(10) == "two"
    keep(home, queue, "1 / 0")
    assert queue.add().result(10) == "two"
    one.hear(rf"{path.name} cannot be used: ZeroDivisionError")
    one.hear("the processor from before is used on")
    path.unlink()
    assert queue.add().result(10) == "two"
    assert one.end() == 0
    assert len([line for line in one.lines if "ZeroDivisionError" in line]) == 1


def test_a_cell_that_comes_to_need_its_notebook_lets_its_jobs_wait(worker, queue, home):
    keep(home, queue, says("one"))
    one = worker(queue.name, "--concurrency", 2)
    assert queue.add().result(120) == "one"
    keep(home, queue, 'KERNEL_ONLY = ("rates", "client")')
    waiting = [queue.add() for _ in range(3)]
    one.hear("uses names of its notebook: rates, client")
    until(lambda: not queue.workers())
    assert "no worker is running" in queue.why_waiting()
    assert [(job.state, job.refresh().attempt) for job in waiting] == [("waiting", 0)] * 3
    keep(home, queue, says("three"))
    assert [job.result(120) for job in waiting] == ["three"] * 3


def test_a_cell_that_needs_its_notebook_is_refused_at_the_start(worker, queue, home):
    keep(home, queue, 'KERNEL_ONLY = ("rates",)')
    one = worker(queue.name)
    assert one.wait() == 2
    assert "uses names of its notebook: rates" in one.lines[0]
    assert "import or make them inside the cell" in one.lines[1]


@pytest.mark.parametrize("mode", [0o602, 0o626])
def test_a_module_that_others_can_write_to_is_not_run(worker, queue, home, mode):
    path = keep(home, queue, "raise SystemExit('it was run')")
    path.chmod(mode)
    one = worker(queue.name)
    assert one.wait() == 2
    assert "is not used: every user can write it (mode 0" in one.lines[0]
    assert "AGENTNB_TRUST" in one.lines[1]


def test_a_folder_that_others_can_write_to_is_not_trusted(worker, queue, home):
    path = keep(home, queue, "raise SystemExit('it was run')")
    path.parent.chmod(0o707)
    try:
        one = worker(queue.name)
        assert one.wait() == 2
        assert "modules is not used: every user can write it (mode 0707)" in one.lines[0]
    finally:
        path.parent.chmod(0o700)


def test_a_link_in_place_of_a_module_is_not_followed(worker, queue, home, tmp_path):
    path = keep(home, queue, says("x"))
    shutil.move(path, tmp_path / "elsewhere.py")
    path.symlink_to(tmp_path / "elsewhere.py")
    one = worker(queue.name)
    assert one.wait() == 2
    assert "cannot be read" in one.lines[0]


def test_processes_run_jobs_each_in_a_session_of_its_own(worker, queue, tmp_path):
    (tmp_path / "where.py").write_text(
        "import os, time\n"
        "def where(job):\n"
        "    time.sleep(0.3)\n"
        "    return [os.getpid(), os.getsid(0)]\n"
    )
    one = worker(queue.name, "--processor", "where:where", "--processes", "--concurrency", 2)
    jobs = [queue.add() for _ in range(4)]
    found = [job.result(120) for job in jobs]
    assert len({pid for pid, _ in found}) == 2
    assert all(pid == session != one.pid for pid, session in found)
    one.hear(f"{jobs[-1].id}  completed +[0-9]+ ms")
    assert one.end() == 0
    assert one.lines[-1].endswith("stopped: 4 completed, 0 failed")


def test_processes_drain_too(worker, queue):
    jobs = [queue.add(n) for n in range(10)]
    one = worker(queue.name, "--processor", "jobs:echo", "--drain", "--processes")
    assert one.wait() == 0
    assert [job.result(0) for job in jobs] == list(range(10))
    assert one.lines[-1].endswith("stopped: 10 completed, 0 failed")


def test_an_attempt_that_fails_in_a_process_is_recorded(worker, queue, home, tmp_path):
    from agentnb.testing import replay

    queue.add(7, attempts=1)
    queue.add(8, attempts=1)
    words = (queue.name, "--processor", "jobs:recorded", "--record", "failed", "--drain")
    worker(*words, "--executor", "processes", "--concurrency", "1").wait()
    (path,) = (home / "tapes").glob("*")
    assert path.stat().st_mode & 0o777 == 0o600
    path = shutil.move(path, tmp_path / path.name)  # the home is that of other tests as well
    with replay(path) as tape, pytest.raises(ValueError, match="8 has failed"):
        tape.run(recorded)
    assert tape.unit["function"] == "jobs:recorded"


def recorded(job):
    found = job.hub.db.query("select :n as n", {"n": job.data}).scalar()
    if found > 7:
        raise ValueError(f"{found} has failed")
    return found
