"""The things that need a person: failures, approvals, and what is about to fail."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from agentnb.core.format import duration, size, time_left
from agentnb.core.hints import rendered
from agentnb.core.overview.model import Need
from agentnb.core.workflow.forms import form_words, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from agentnb.core.queue.overview import QueueOverview
    from agentnb.core.resilience import Breaker
    from agentnb.core.trace import LogFile, Tracer
    from agentnb.core.workflow.running import RunningWorkflow
    from agentnb.core.workflow.workers import SilentWorker

__all__ = [
    "of_agents",
    "of_breakers",
    "of_disk",
    "of_problems",
    "of_queues",
    "of_traces",
    "of_workflows",
    "ordered",
]

_LEAST_FREE = 500_000_000
_LEAST_SHARE = 0.03


def of_breakers(breakers: Mapping[str, Mapping[str, Breaker]]) -> list[Need]:
    """Return the circuit breakers that are open."""
    found = []
    for each in breakers.values():
        for name, breaker in each.items():
            state = breaker.snapshot()
            if state["state"] != "open":
                continue
            left = duration(float(str(state["retry_in"])))
            text = f"{state['failures']} failures in a row: {state['last_error']}; tried again in"
            found.append(Need("breaker", name, f"{name} is left alone", f"{text} {left}", bad=True))
    return found


def of_problems(problems: Mapping[str, str]) -> list[Need]:
    """Return the stores that do not answer."""
    return [
        Need("store", service, f"{service} does not answer", problem, bad=True)
        for service, problem in problems.items()
    ]


def of_queues(queues: Iterable[QueueOverview], newest: Mapping[str, str]) -> list[Need]:
    """Return queues with failed jobs, with silent workers, or with jobs and no worker.

    Parameters
    ----------
    queues
        The queues.
    newest
        The last error of each, by its name.
    """
    failed, silent, idle = [], [], []
    for one in queues:
        name = one.queue.name
        count = one.counts["failed"]
        if count:
            title = f"{count:,} {'job' if count == 1 else 'jobs'} of {name} failed"
            last = newest.get(name)
            text = f"the last: {last}" if last else ""
            failed.append(Need("failed", name, title, text, count, bad=True))
        if one.silent:
            count = len(one.silent)
            title = f"{count} {'worker' if count == 1 else 'workers'} of {name} silent"
            seen = min(each.seen for each in one.silent)
            hosts = ", ".join(sorted({each.host for each in one.silent}))
            text = f"no heartbeat for {duration(seen)} from {hosts}"
            silent.append(Need("silent", name, title, text, count))
        if one.jobs_wait and not one.workers and not one.paused:
            count = one.counts.waiting + one.counts["delayed"]
            title = f"{count:,} {'job' if count == 1 else 'jobs'} of {name} without a worker"
            text = rendered(
                f"agentnb worker {name} --app MODULE, "
                f"or hub.queue({name!r}).work(function) (%queue work {name})"
            )
            idle.append(Need("worker", name, title, text, count))
    return [*failed, *silent, *idle]


def of_agents(workers: Sequence[SilentWorker]) -> list[Need]:
    """Return the silent workers of agents."""
    if not workers:
        return []
    count = len(workers)
    title = f"{count} {'worker' if count == 1 else 'workers'} of agents silent"
    hosts = ", ".join(sorted({one.host for one in workers}))
    names = ", ".join(sorted({name for one in workers for name in one.agents}))
    text = one_line(f"no heartbeat for {duration(workers[0].seen)} from {hosts}: {names}")
    return [Need("silent_agents", "agents", title, text, count)]


def of_workflows(workflows: Iterable[RunningWorkflow]) -> list[Need]:
    """Return the workflows that wait for a person."""
    found = []
    for one in workflows:
        if one.questions:
            found.append(_question(one))
        if not one.approvals:
            continue
        more = f" and {one.approvals - 1} more" if one.approvals > 1 else ""
        waited = one.waited or 0.0
        since = f", for {time_left(waited)}" if waited >= 1 else ""
        text = f"task {one.approval}{more}{since}"
        found.append(Need("approval", one.id, f"{one.name} waits for a person", text))
    return found


def _question(one: RunningWorkflow) -> Need:
    """Return the need of a workflow whose tasks have asked a person."""
    more = f" and {one.questions - 1:,} more" if one.questions > 1 else ""
    asked = one.question
    if asked is None:
        title = f"{one.name} waits for answers"
        return Need("question", one.id, title, f"{one.questions:,} questions", one.questions)
    title = f"{one.name} waits for {one_line(asked.to or 'an answer')}"
    question = one_line(asked.question or asked.name)
    text = f"task {asked.task}: {question} ({form_words(asked.form)}){more}"
    return Need("question", one.id, title, text, one.questions)


def of_traces(tracer: Tracer | None, logs: LogFile | None) -> list[Need]:
    """Return the spans and the log that are not written."""
    found = []
    if tracer is not None and tracer.dropped:
        title = f"{tracer.dropped:,} spans were not written"
        text = tracer.failed or "too many waited: traces lack them"
        found.append(Need("dropped", "spans", title, text))
    if logs is not None and logs.failed:
        found.append(Need("log", "log", "no log is written", logs.failed, bad=True))
    return found


def of_disk(home: Path) -> list[Need]:
    """Return the disk of the home, if it is nearly full."""
    try:
        usage = shutil.disk_usage(home)
    except OSError:
        return []
    if usage.free >= min(_LEAST_FREE, usage.total * _LEAST_SHARE):
        return []
    title = "the disk of the home is nearly full"
    text = f"{size(usage.free)} of {size(usage.total)} are free at {home}"
    return [Need("disk", str(home), title, text, bad=True)]


def ordered(needs: Iterable[Sequence[Need]]) -> list[Need]:
    """Return the needs of several kinds, those that fail first."""
    found = [need for each in needs for need in each]
    return sorted(found, key=lambda need: not need.bad)
