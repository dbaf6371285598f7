"""The files of spans: named by their process, rotated, kept by bytes and days."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from time import time

import pytest

from agentnb.core.trace import Tracer, read_spans, start_trace
from agentnb.core.trace.process import this_owner, this_process
from agentnb.core.trace.spanfile import gone_until, prune, span_files
from agentnb.core.work.identity import new_owner

DAY = 86_400


@pytest.fixture(scope="module")
def gone():
    """Return the pid of a process that has ended."""
    code = "import os; print(os.getpid())"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(run.stdout)


def file_of(folder, pid, *, age=0.0, size=100, rotated="", owner=None):
    """Write a file of spans, as a process wrote it some seconds ago."""
    path = folder / f"spans-{pid}.jsonl{rotated}"
    first = ""
    if owner is not None:
        about = {"pid": pid, "host": "a", "role": "script", "owner": owner}
        first = json.dumps({"process": about}) + "\n"
    path.write_text(first + "x" * max(size - len(first), 0))
    os.utime(path, (time() - age, time() - age))
    return path


def names(folder):
    return sorted(file.path.name for file in span_files(folder))


def record(tracer, number=1):
    for at in range(number):
        with tracer.span("query", service="db", number=at):
            pass


def test_four_files_are_set_aside(tmp_path):
    tracer = Tracer(tmp_path, max_bytes=4000)
    record(tracer, 200)
    tracer.close()
    own = f"spans-{os.getpid()}.jsonl"
    assert names(tmp_path) == [own, *(f"{own}.{n}" for n in range(1, 5))]
    files = sorted(span_files(tmp_path), key=lambda file: file.path.name, reverse=True)
    assert all(0 < file.size <= 4000 for file in files)
    lines = [json.loads(line) for file in files for line in file.path.read_text().splitlines()]
    numbers = [line["attributes"]["number"] for line in lines if "process" not in line]
    assert numbers == list(range(min(numbers), 200))
    assert gone_until(tmp_path) is not None


def test_every_file_begins_with_its_process(tmp_path):
    tracer = Tracer(tmp_path, max_bytes=4000)
    record(tracer, 30)
    tracer.close()
    pid, host, role = this_process()
    for file in span_files(tmp_path):
        first, *others = file.path.read_text().splitlines()
        about = {"pid": pid, "host": host, "role": role, "owner": this_owner()}
        assert json.loads(first) == {"process": about}
        assert not any("process" in json.loads(line) for line in others)
    assert pid == os.getpid()


def test_many_short_processes_keep_their_spans(tmp_path, gone):
    for number in range(40):
        file_of(tmp_path, gone + number, age=60 + number)
    prune(tmp_path, 100_000, 7 * DAY)
    assert len(names(tmp_path)) == 40


def test_the_oldest_files_of_ended_processes_go_first(tmp_path, gone):
    far = 2**22 + gone  # above the highest id that Linux gives
    for number in range(10):
        file_of(tmp_path, far + number, age=100 - number)
    file_of(tmp_path, os.getppid(), age=500)
    file_of(tmp_path, os.getppid(), age=600, rotated=".1")
    prune(tmp_path, 900, 7 * DAY)
    kept = {f"spans-{far + number}.jsonl" for number in range(3, 10)}
    assert set(names(tmp_path)) == kept | {
        f"spans-{os.getppid()}.jsonl",
        f"spans-{os.getppid()}.jsonl.1",
    }


def test_what_live_processes_have_set_aside_goes_next_and_their_own_files_stay(tmp_path, gone):
    file_of(tmp_path, 2**22 + gone, age=10)
    for number in range(1, 5):
        file_of(tmp_path, os.getppid(), age=100 * number, rotated=f".{number}")
    own = file_of(tmp_path, os.getppid())
    prune(tmp_path, 250, 7 * DAY)
    assert names(tmp_path) == [own.name, f"{own.name}.1"]
    prune(tmp_path, 0, 7 * DAY)
    assert names(tmp_path) == [own.name]


def test_old_files_go_however_small_they_are(tmp_path, gone):
    far = 2**22 + gone
    file_of(tmp_path, far, age=8 * DAY)
    young = file_of(tmp_path, far + 1, age=6 * DAY)
    own = file_of(tmp_path, os.getppid(), age=8 * DAY)
    prune(tmp_path, 10**9, 7 * DAY)
    assert names(tmp_path) == sorted([young.name, own.name])
    assert gone_until(tmp_path) == pytest.approx(time() - 8 * DAY, abs=60)


def test_a_file_that_is_not_of_spans_is_left_alone(tmp_path):
    for name in ("spans-notes.jsonl", "spans-1.jsonl.bak", "agentnb-1.jsonl", "spans-.jsonl"):
        (tmp_path / name).write_text("mine")
        os.utime(tmp_path / name, (0, 0))
    prune(tmp_path, 0, DAY)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_process_of_another_host_is_ended_after_an_hour_of_silence(tmp_path):
    owner = "another-boot|4026531836|7|99"
    recent = file_of(tmp_path, 7, age=600, owner=owner)
    file_of(tmp_path, 8, age=7200, owner=owner)
    prune(tmp_path, 0, 7 * DAY)
    assert names(tmp_path) == [recent.name]


def test_a_pid_that_is_used_again_gets_a_file_of_its_own(tmp_path):
    host, space, pid, _, _ = new_owner().split("|")
    file_of(tmp_path, int(pid), owner=f"{host}|{space}|{pid}|1")
    tracer = Tracer(tmp_path)
    record(tracer)
    tracer.close()
    own = f"spans-{os.getpid()}.jsonl"
    assert names(tmp_path) == [own, f"{own}.1"]
    assert this_owner() in (tmp_path / own).read_text()


def test_a_file_of_a_version_that_wrote_no_process_is_set_aside(tmp_path):
    file_of(tmp_path, os.getpid())
    tracer = Tracer(tmp_path)
    record(tracer)
    tracer.close()
    own = f"spans-{os.getpid()}.jsonl"
    assert names(tmp_path) == [own, f"{own}.1"]
    assert (tmp_path / own).read_text().startswith('{"process":')


def test_processes_of_two_containers_with_one_pid_do_not_share_a_file(tmp_path):
    theirs = file_of(tmp_path, os.getpid(), owner=f"another|1|{os.getpid()}|99")
    before = theirs.read_bytes()
    tracer = Tracer(tmp_path)
    cell = start_trace()
    record(tracer)
    tracer.close()
    assert theirs.read_bytes() == before
    assert len(names(tmp_path)) == 2
    assert len(read_spans(tmp_path, cell.trace_id)) == 1


def test_writing_removes_what_is_too_old_and_too_much(tmp_path, gone):
    far = 2**22 + gone
    file_of(tmp_path, far, age=3 * DAY)
    file_of(tmp_path, far + 1, age=100, size=5000)
    kept = file_of(tmp_path, far + 2, age=50, size=1000)
    tracer = Tracer(tmp_path, keep_bytes=2000, keep_days=2)
    record(tracer)
    tracer.close()
    assert names(tmp_path) == sorted([f"spans-{os.getpid()}.jsonl", kept.name])
