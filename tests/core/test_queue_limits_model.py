"""Limits against a model of them: the first job that may start is the one that starts.

Random jobs, keys, priorities, claims, ends, deaths, cancellations and changes of limits. At each
claim the model lists the jobs for which all limits have room. The queue must give the first of
them in its order, and none only where there is none: so no limit is ever exceeded, no worker is
idle while a job may run, and the order within a key is kept.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from agentnb.core.clock import Clock
from agentnb.core.errors import UsageError
from agentnb.core.hints import use_magics
from agentnb.core.queue import Queues
from agentnb.core.work.limits import checked_limits
from agentnb.core.work.store import Claim

from .queue_claims import LOST, dead_here, finish, held_of

PER = 100.5  # no sum of the steps by which the clock moves
STEPS = (1, 30, 100)
FIELDS = (None, "data.user", "data.model.name")
DELAY = 5.5
ENDS = ("completed", "failed", "retry", "cancelled", "released", "died", "cancel")
ABSENT = object()


def key_of(data, by):
    """Return the key of a job's data, told apart as JSON tells values apart."""
    if by is None:
        return None
    for name in by.split(".")[1:]:
        data = data.get(name) if isinstance(data, dict) else None
    return type(data).__name__, repr(data)


class Model:
    """The jobs of a queue and its limits, in lists that are searched from the first."""

    def __init__(self):
        self.waiting, self.active, self.delayed, self.data = {}, set(), {}, {}
        self.limits, self.starts = {}, {}

    def may_start(self, job, now):
        """Return whether a job may start between two times; None if that depends on which."""
        sure = True
        for (kind, by), limit in self.limits.items():
            key = key_of(self.data[job], by)
            if kind == "concurrency":
                taken = sum(key_of(self.data[one], by) == key for one in self.active)
                if taken >= limit:
                    return False
                continue
            starts = self.starts.get((by, key), [])
            if len(starts) >= limit:
                low, high = starts[-limit]
                if low + PER > now[1]:
                    return False
                sure = sure and high + PER <= now[0]
        return sure or None

    def start(self, job, now):
        """Count the start of a job."""
        self.active.add(job)
        del self.waiting[job]
        for (kind, by), limit in self.limits.items():
            if kind == "rate":
                starts = self.starts.setdefault((by, key_of(self.data[job], by)), [])
                starts.append(now)
                del starts[:-limit]


class Play:
    """Does the same to a queue and to a model."""

    def __init__(self, queue, clock, seed):
        self.queue, self.clock, self.random = queue, clock, random.Random(seed)
        self.model, self.claims, self.claimed, self.empty = Model(), {}, 0, 0

    def claim(self):
        model, before = self.model, self.clock.time()
        owner = self.random.choice(["me", dead_here()])
        found = self.queue._work_store().claim(owner)
        now = (before, self.clock.time())
        for job, due in list(model.delayed.items()):
            if due <= now[0]:
                del model.delayed[job]
                self.put(job, found)
        free = {job: model.may_start(job, now) for job in model.waiting}
        if not isinstance(found, Claim):
            assert True not in free.values()
            self.empty += 1
            return
        order = model.waiting
        assert free[found.id] is not False
        ahead = [job for job, may in free.items() if may and order[job] < order[found.id]]
        assert not ahead
        model.start(found.id, now)
        self.claims[found.id] = found
        self.claimed += 1

    def add(self):
        users = [1, 2, 2**63, 2**63 + 1, "1", "ada", None, ABSENT, True, [1, 2], {"a": '}\\"'}]
        user, model = self.random.choice(users), self.random.choice(["a", "b", 'ä"\\{'])
        data = {"text": '{["', "model": {"size": 1, "name": model}, "user": user}
        if user is ABSENT:
            del data["user"]
        priority, lifo = self.random.choice([0, 0, 0, 3]), self.random.random() < 0.1
        job = self.queue.add(data, priority=priority, lifo=lifo, attempts=1000)
        self.model.data[job.id] = data
        self.put(job.id)

    def put(self, job, claimed=None):
        """Note that a job waits, in the order that the server gave it."""
        store = self.queue._store
        order = store.redis.zscore(f"{store.base}:wait", job)
        if isinstance(claimed, Claim) and claimed.id == job:
            order = float(store.redis.hget(f"{store.jobs}{job}", "order"))
        self.model.waiting[job] = order

    def end(self):
        if not self.claims:
            return
        id_ = self.random.choice(sorted(self.claims))
        found = self.claims.pop(id_)
        self.model.active.discard(id_)
        how = self.random.choice(ENDS)
        if how == "cancel":
            self.queue.cancel(id_)
        elif how == "released":
            assert self.queue._work_store().release(found)
            self.put(id_)
        elif how == "died":
            held = held_of(self.queue, id_)
            assert self.queue._work_store().reclaim(held, LOST, counted=False) == "waiting"
            self.put(id_)
        elif how == "retry":
            assert finish(self.queue, found, "retry", delay=DELAY) == "delayed"
            self.model.delayed[id_] = self.clock.time() + DELAY
        else:
            assert finish(self.queue, found, how) == how

    def drop(self):
        if self.model.waiting:
            id_ = self.random.choice(sorted(self.model.waiting))
            del self.model.waiting[id_]
            self.random.choice([self.queue.cancel, self.queue.remove])(id_)

    def change(self):
        by, number = self.random.choice(FIELDS), self.random.randint(1, 6)
        kind = self.random.choice(["rate", "concurrency", "none"])
        limits = self.model.limits
        if kind == "rate":
            self.queue.limit(number, per=PER, by=by)
        elif kind == "concurrency":
            self.queue.limit(concurrency=number, by=by)
        elif any(one == by for _, one in limits):
            self.queue.unlimit(by=by)
            limits.pop(("rate", by), None)
            limits.pop(("concurrency", by), None)
        if kind != "none":
            limits[kind, by] = number
        assert len(self.queue.limits()) == len(limits)

    def turn(self):
        act = self.random.choices(
            [self.add, self.claim, self.end, self.drop, self.change, self.wait],
            [30, 40, 18, 3, 4, 8],
        )
        act[0]()

    def wait(self):
        self.clock.advance(self.random.choice(STEPS))


@pytest.mark.parametrize("seed", range(4))
def test_the_first_job_for_which_all_limits_have_room_is_claimed(shared_redis, seed):
    clock = Clock()
    runtime = replace(shared_redis.runtime, clock=clock)
    with Queues(shared_redis, prefix=f"limits-model-{seed}", runtime=runtime) as queues:
        play = Play(queues.get_queue("ask"), clock, seed)
        for _ in range(3):
            play.change()
        for _ in range(500):
            play.turn()
        assert play.claimed > 20
        assert play.empty > 5
        drain(play)


def drain(play):
    """Without limits the rest is claimed in the order of the queue, and nothing is left."""
    queue, model = play.queue, play.model
    play.clock.advance(2 * DELAY)
    assert queue.counts().left == len(model.waiting) + len(model.delayed) + len(model.active)
    for job in model.delayed:
        queue.remove(job)
    queue.unlimit()
    store = queue._store
    rest = [queue._work_store().claim("me").id for _ in range(len(model.waiting))]
    assert rest == sorted(model.waiting, key=model.waiting.get)
    kept = {key.decode().rpartition(":")[2] for key in store.redis.keys(f"{store.base}:*")}
    assert not kept & {"inbox", "lanes", "ready", "blocked", "at", "room", "places"}


@pytest.mark.parametrize(
    ("service", "magic"),
    [
        ("queue", "%queue limit QUEUE 10 --per 60"),
        ("workflow", "%workflow limit AGENT 10 --per 60"),
    ],
)
def test_the_hint_of_a_bad_limit_names_the_magic_while_a_shell_has_it(service, magic):
    shell = object()
    use_magics(shell, on=True)
    try:
        for given in (
            (0, 60, None),
            (10, None, None),
            (10, 0, None),
            (None, 60, None),
            (None,) * 3,
        ):
            with pytest.raises(UsageError) as caught:
                checked_limits(*given, service=service)
            assert magic in caught.value.hint
    finally:
        use_magics(shell, on=False)
