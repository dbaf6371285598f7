"""A notebook's kernel that is interrupted or started again while it has to do with jobs."""

from __future__ import annotations

import pytest

from agentnb.core.queue import TaskQueue
from agentnb.core.redis import RedisClient
from tests.waiting import until

# Ctrl-C comes at any moment inside the lines that expect it, as it does to a cell.
STORM = """
import random, threading
from agentnb.core.queue import TaskQueue

wanted = int(sys.argv[2])
queues = TaskQueue(RedisClient(home=home))
queue = queues.get_queue("storm")
main, over, armed = threading.main_thread().ident, threading.Event(), [False]

def interrupt(*_):
    if armed[0]:
        armed[0] = False
        raise KeyboardInterrupt

signal.signal(signal.SIGINT, interrupt)

def storm():
    while not over.is_set():
        time.sleep(random.uniform(0, 0.002))
        signal.pthread_kill(main, signal.SIGINT)

def interrupted(call):
    # What it gave, or None if it was interrupted.
    try:
        armed[0] = True
        given = call()
        armed[0] = False
        return given
    except KeyboardInterrupt:
        return None
    finally:
        armed[0] = False

queue.add(0, key="warm", remove_on_complete=False)
thread = threading.Thread(target=storm, daemon=True)
thread.start()
came = n = 0
while came < wanted:
    n += 1
    # Without a key an interrupted call says nothing; with one it may be made again.
    plain = interrupted(lambda: queue.add(["plain", n], remove_on_complete=False))
    say("plain", n, "none" if plain is None else plain.id)
    keyed = None
    while keyed is None:
        keyed = interrupted(lambda: queue.add(["keyed", n], key=f"k{n}", remove_on_complete=False))
        came += keyed is None
    say("keyed", n, keyed.id)
    came += plain is None
early = queue.jobs("waiting", wanted)
queue.work(lambda job: job.data, concurrency=2)
asked = came = 0
late = [queue.add(["late", k], remove_on_complete=False) for k in range(wanted)]
for job in early + late:
    wait = job.data
    while True:
        asked += 1
        found = interrupted(lambda: job.result(10))
        if found is not None:
            break
        came += 1
    if found != wait:
        say("wrong", found, wait)
over.set()
thread.join()
queue.worker.drain(120)
say("asked", asked, came)
queues.close()
"""


def test_interrupts_of_add_and_result_lose_and_double_nothing(redis_home, person):
    """Every acknowledged job is there once, and every result is that of its job."""
    with RedisClient(home=redis_home) as client, TaskQueue(client) as queues:
        queue = queues.get_queue("storm")
        one = person(STORM, redis_home, 150)
        told, seen = {}, []
        while line := one.hear():
            kind, *words = line.split(" ", 2)
            if kind == "asked":
                asked, came = int(words[0]), int(words[1])
                break
            assert kind in {"plain", "keyed"}, line
            told[kind, int(words[0])] = words[1]
        assert one.end() == 0
        seen = queue.counts()
        interrupted = sum(id_ == "none" for id_ in told.values())
        acknowledged = len(told) - interrupted
        late = 150
        ended = seen["completed_total"]
        assert seen["failed_total"] == 0
        # One that was interrupted may have been added: then it runs once, like the others.
        assert acknowledged + late + 1 <= ended <= acknowledged + interrupted + late + 1
        assert interrupted > 10
        assert asked > came > 10


@pytest.fixture
def kernel(steady_home, tmp_path):
    """Return a real kernel whose home is shared with the test."""
    module = pytest.importorskip("jupyter_client.manager")
    (tmp_path / ".agentnb").mkdir()
    manager, client = module.start_new_kernel(
        kernel_name="python3", cwd=str(tmp_path), extra_arguments=["--HistoryManager.enabled=False"]
    )
    begin = (
        "import os, time\n"
        f"os.environ['AGENTNB_HOME'] = {str(steady_home)!r}\n"
        "import agentnb\n"
        "hub = agentnb.connect()\n"
        "queue = hub.queue('in-a-kernel')\n"
        "def work(job):\n"
        "    with open('notes', 'a') as file: file.write(f'{job.data}\\n')\n"
        "    time.sleep(30 if job.data == 10 else 0.2)\n"
        "    return job.data\n"
        "worker = queue.work(work, concurrency=2)\n"
    )
    yield manager, client, begin
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, code, seconds=60):
    """Run a cell, and return what it raised or an empty text."""
    reply = client.execute_interactive(code, timeout=seconds, output_hook=lambda _: None)
    return reply["content"].get("ename", "")


def test_a_kernel_that_is_interrupted_and_started_again_loses_no_job(kernel, steady_home, tmp_path):
    manager, client, begin = kernel
    with RedisClient(home=steady_home) as redis, TaskQueue(redis) as queues:
        queue = queues.get_queue("in-a-kernel")
        assert run(client, begin) == ""
        # An interrupt reaches the whole process group, and yet no job that runs in a thread.
        waited = client.execute("queue.add('first', delay=1).result(120)")
        until(lambda: queue.counts()["delayed"])
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=30)
        assert reply["parent_header"]["msg_id"] == waited
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        jobs = [queue.add(n) for n in range(8)]
        until(lambda: queue.counts()["active"] == 2)
        manager.interrupt_kernel()
        assert run(client, "1") == ""
        assert [job.result(120) for job in jobs] == list(range(8))
        assert [job.refresh().attempt for job in jobs] == [1] * 8

        # Two that run when the kernel goes, and some that wait.
        jobs = [queue.add(n) for n in (10, 10, 11, 12, 13)]
        until(lambda: queue.counts()["active"] == 2)
        until(lambda: (tmp_path / "notes").read_text().count("10\n") == 2)
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=60)
        assert run(client, begin.replace("30 if", "0.1 if")) == ""
        assert [job.result(120) for job in jobs] == [10, 10, 11, 12, 13]
        # Two that die together do not count: nobody knows which was to blame.
        assert [job.refresh().attempt for job in jobs] == [1, 1, 1, 1, 1]
        deaths = [int(queue._store.show(job.id).fields["entry"]) > 1 for job in jobs]
        assert deaths[:2] == [True, True]
        assert queue.counts()["failed_total"] == 0
        done = (tmp_path / "notes").read_text().split()
        assert len(done) == 1 + 8 + 5 + 2
        assert run(client, "hub.close()") == ""
