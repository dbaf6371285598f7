"""The verbs and options of ``%queue``."""

from __future__ import annotations

import json
from typing import Any

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import count, delay, rows, seconds
from agentnb.magics.scheduling import TIME_ZONE, firing_options

__all__ = ["GRAMMAR", "STATES"]

STATES = ("waiting", "paused", "delayed", "active", "completed", "failed", "cancelled")


def _backoff(given: Any) -> Any:
    # What may be in it is known where jobs are added.
    return json.loads(given) if isinstance(given, str) else given


_YES = Option(("--yes",), "act on more than 10 jobs")
_MANY = (
    Option(("--from",), "all of this queue", "QUEUE", live="queue"),
    Option(("--state",), "that are in this state", choices=STATES),
    _YES,
)
_TIMEOUT = Option(("--timeout",), "that an attempt may take", "SECONDS", seconds)

_PRIORITY = Option(("--priority",), "the lower number runs first (default 0)", "N", int)
_DELAY = Option(("--delay",), "before it may run", "SECONDS", delay)
_ATTEMPTS = Option(("--attempts",), "attempts in total (default 3)", "N", count)
_BACKOFF = Option(
    ("--backoff",),
    'seconds between attempts, or {"type": "exponential", "delay": 2}, the default',
    "SECONDS|JSON",
    _backoff,
)
_LIFO = Option(("--lifo",), "run before all others of its priority")
_CORRELATION = Option(("--correlation",), "a correlation id, free text", "ID")

GRAMMAR = Grammar(
    "queue",
    "jobs for workers here, in other processes and on other machines; %%queue task QUEUE makes a "
    "cell the queue's processor",
    (
        Verb(
            "add",
            "add a job: JSON, text, or :name",
            ("QUEUE", "[DATA]"),
            (
                *(_PRIORITY, _DELAY, _ATTEMPTS, _BACKOFF, _TIMEOUT),
                Option(
                    ("--key",), "adds a job once for this key, until 7 days after its end", "TEXT"
                ),
                _LIFO,
                Option(
                    ("--result-ttl",),
                    "that its result is kept, unless it is read before (default 3600)",
                    "SECONDS",
                    seconds,
                ),
                _CORRELATION,
            ),
            live=("queue", "bound"),
            twin="hub.queue(QUEUE).add(DATA, priority=..., delay=...)",
        ),
        Verb(
            "map",
            "add a job for each item, and show the batch of them; a function may stand before the "
            "items, as :name or pkg.module:function",
            ("QUEUE", "ITEM..."),
            (
                Option(("--key",), "names the items: the same call again adds the rest", "TEXT"),
                *(_PRIORITY, _DELAY, _ATTEMPTS, _BACKOFF, _TIMEOUT, _LIFO),
                Option(
                    ("--result-ttl",),
                    "that the batch is kept after its last job (default a day, with a key 7)",
                    "SECONDS",
                    seconds,
                ),
                _CORRELATION,
            ),
            live=("queue", "bound"),
            twin="hub.queue(QUEUE).map(FUNCTION, ITEMS, key=...)",
        ),
        Verb(
            "batches",
            "the batches of a queue, or of all queues; with its id or key one batch",
            ("[QUEUE]", "[BATCH]"),
            (Option(("-n", "--count"), "how many of each queue at most (20)", "N", rows),),
            live=("queue", "batch"),
            twin="hub.queue(QUEUE).batches(), .batch(BATCH)",
        ),
        Verb(
            "task",
            "make the cell the queue's processor, with `job` in scope; the job's result is the "
            "returned value, else the value of its last expression",
            ("QUEUE",),
            (
                Option(("--schema",), "the class of job.data", "NAME", live="schema"),
                Option(("--returns",), "the class of the result", "NAME", live="schema"),
                _TIMEOUT,
            ),
            live=("queue",),
            cell=True,
            twin="hub.queue(QUEUE).process(FUNCTION, schema=..., returns=..., timeout=...)",
        ),
        Verb(
            "work",
            "process the jobs of a queue in this kernel: in threads, or by an executor",
            ("QUEUE",),
            (
                Option(
                    ("-c", "--concurrency"),
                    "jobs that run at once (default 5)",
                    "N",
                    count,
                ),
                Option(
                    ("--executor",),
                    "threads, processes, dask://HOST:PORT (default AGENTNB_EXECUTOR)",
                    "WHERE",
                ),
                Option(("--drain",), "wait until no job is left"),
            ),
            live=("queue",),
            twin="hub.queue(QUEUE).work(concurrency=5, executor=...), .drain() of what it returns",
        ),
        Verb(
            "stop",
            "stop working on a queue here; what runs may end",
            ("QUEUE",),
            (),
            ("working",),
            twin="hub.queue(QUEUE).stop()",
        ),
        Verb("list", "the queues, with their jobs by state", twin="hub.queues.table()"),
        Verb(
            "jobs",
            "the jobs of a queue",
            ("QUEUE",),
            (
                Option(("--state",), "only those in this state", choices=STATES),
                Option(("-n", "--count"), "how many of each state at most (20)", "N", rows),
            ),
            live=("queue",),
            twin="hub.queue(QUEUE).jobs(STATE)",
        ),
        Verb(
            "show",
            "a job whole: result or error, log, times",
            ("JOB",),
            live=("job",),
            twin="hub.queues.find(JOB)",
        ),
        Verb(
            "retry",
            "run jobs again now",
            ("[JOB...]",),
            _MANY,
            live=("ended",),
            twin="job.retry(), or hub.queue(QUEUE).retry(JOB)",
        ),
        Verb(
            "cancel",
            "cancel jobs; stop those that run",
            ("[JOB...]",),
            _MANY,
            live=("open",),
            twin="job.cancel(), or hub.queue(QUEUE).cancel(JOB)",
        ),
        Verb(
            "rm",
            "remove jobs with their results and logs",
            ("[JOB...]",),
            _MANY,
            ("job",),
            twin="job.remove(), or hub.queue(QUEUE).remove(JOB)",
        ),
        Verb(
            "pause",
            "pause a queue: no worker claims its jobs",
            ("QUEUE",),
            live=("queue",),
            twin="hub.queue(QUEUE).pause()",
        ),
        Verb(
            "resume",
            "resume a queue",
            ("QUEUE",),
            live=("queue",),
            twin="hub.queue(QUEUE).resume()",
        ),
        Verb(
            "limit",
            "limit a queue over all workers: RATE starts --per SECONDS, or a concurrency; without "
            "them its limits, or those of all queues",
            ("[QUEUE]", "[RATE]"),
            (
                Option(("--per",), "within which RATE jobs start at most", "SECONDS", seconds),
                Option(("-c", "--concurrency"), "jobs that run at once", "N", count),
                Option(("--by",), "for each value of this field, as data.user", "FIELD"),
            ),
            live=("queue",),
            twin="hub.queue(QUEUE).limit(10, per=60, by=...), .limit(concurrency=4), .limits()",
        ),
        Verb(
            "unlimit",
            "remove the limits of a queue, or those by a field",
            ("QUEUE",),
            (Option(("--by",), "only the limits by this field, as data.user", "FIELD"),),
            live=("queue",),
            twin="hub.queue(QUEUE).unlimit(by=...)",
        ),
        Verb(
            "schedule",
            "add a job at each of some times; bare, list the schedules with their next times",
            ("[NAME]", "[CRON]", "[QUEUE]", "[DATA]"),
            (
                TIME_ZONE,
                Option(("--every",), "in the place of CRON", "SECONDS", seconds),
                *firing_options("the last job has not ended"),
                Option(("--priority",), "the lower number runs first (default 0)", "N", int),
                Option(("--attempts",), "attempts in total (default 3)", "N", count),
                _TIMEOUT,
                Option(("--correlation",), "a correlation id, free text", "ID"),
                Option(("--pause",), "pause the schedule NAME"),
                Option(("--resume",), "resume it with its next time"),
                Option(("--trigger",), "add one job of it now"),
                Option(("--rm",), "remove it; its jobs stay"),
            ),
            ("schedule", "", "queue", "bound"),
            twin="hub.queue(QUEUE).schedule(NAME, CRON, DATA, tz=...), .schedules(), "
            ".get_schedule(NAME).pause()",
        ),
        Verb(
            "workers",
            "the workers of a queue, or of all, on all machines",
            ("[QUEUE]",),
            live=("queue",),
            twin="hub.queues.workers()",
        ),
        Verb("panel", "a live view of all queues", twin='hub.panel("queue")'),
    ),
    examples=(
        '%queue add mail {"to": "ada@example.com"} --priority 1 --delay 5',
        "%%queue task mail     (the cell's body processes each job, as `job`)",
        "%queue work mail --concurrency 5 --drain",
        "%queue map thumbnails :paths --key monday",
        '%queue schedule nightly "0 2 * * *" reports {"kind": "daily"} --tz Europe/Berlin',
        "%queue jobs mail --state failed",
        "%queue retry --from mail --state failed",
        "%queue limit mail 10 --per 60 --by data.user",
    ),
)
