"""Jobs and events that go on while a primary dies, and what has to be true of them after it."""

from __future__ import annotations

import contextlib
import threading
import time

from agentnb.core.errors import UnavailableError
from tests.waiting import until

_WAITING = 8  # more than the failures in a row that open the breaker


def survive(hub, fail, *, count=200):
    """Add jobs and publish events, let a server fail amidst; return the longest pause in seconds.

    All that was acknowledged is there in the end: each job completed, each event heard once and in
    order. ``fail`` is called once the replica has all, since replication is asynchronous. Other
    threads wait on the server, all of which fail at once with it.
    """
    heard, done, pauses = [], [], []
    hub.events.subscribe("n", lambda event: heard.append(event.data))
    queue = hub.queue("load")
    with _waiting(hub.redis), queue.work(lambda job: done.append(job.data), concurrency=4):
        for number in range(count):
            if number == count // 4:
                hub.redis.wait(1, 1000)
                fail()
            begun = time.monotonic()
            until(lambda number=number: _added(queue, number))
            pauses.append(time.monotonic() - begun)
            hub.events.publish("n", number)
        until(lambda: set(done) == set(range(count)))
        until(lambda: len(heard) >= count)
        until(lambda: queue.counts()["completed_total"] == count)
    assert heard == list(range(count))
    return max(pauses)


def _added(queue, number):
    try:
        queue.add(number, key=f"n{number}", remove_on_complete=1000)
    except UnavailableError:
        return False
    return True


@contextlib.contextmanager
def _waiting(redis):
    stop = threading.Event()

    def wait():
        while not stop.is_set():
            try:
                redis.blpop("{agentnb}:nothing", timeout=0.5)
            except UnavailableError:
                stop.wait(0.05)

    threads = [threading.Thread(target=wait) for _ in range(_WAITING)]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        stop.set()
        for one in threads:
            one.join(30)
