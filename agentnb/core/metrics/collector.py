"""The counts of this process as metrics, read when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from agentnb.core.overview.breakers import breakers_of
from agentnb.core.queue.counts import ENDED, STATES
from agentnb.core.trace.counters import WorkCounts
from agentnb.core.workflow.depths import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prometheus_client.core import Metric

    from agentnb.core.hub import Hub
    from agentnb.core.metrics.depths import DepthReader, Depths
    from agentnb.core.trace import Counters
    from agentnb.core.trace.counters import Histogram, Kind

__all__ = ["MetricsCollector"]

_OUTCOMES = ("completed", "failed", "retried", "released", "parked", "cancelled", "lost")
_LABELS: dict[Kind, str] = {"job": "queue", "task": "agent"}


class MetricsCollector:
    """A collector of prometheus-client; asks the queues and the database once for each scrape.

    Its labels are names of services, operations, outcomes, queues and agents. Ids, keys, URLs
    and hosts are no labels.

    Parameters
    ----------
    hub
        The hub, whose calls, jobs and tasks are shown.
    depths
        Asks for the queues and the agents.
    """

    def __init__(self, hub: Hub, depths: DepthReader) -> None:
        self._hub = hub
        self._depths = depths

    def describe(self) -> Sequence[Metric]:
        """Return nothing: a registry that asks would have the queues read when it is made."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        found = self._depths.read()
        up = "Whether the stores of the queues and the tasks answered this scrape."
        yield GaugeMetricFamily("agentnb_up", up, value=float(not found.problems))
        yield from _queues(found)
        yield from _agents(found)
        counters = self._hub.tracer.counters
        queues, agents = self._depths.names()
        yield from _work("job", counters, queues)
        yield from _work("task", counters, agents)
        yield _calls(counters)
        yield self._breakers()
        yield CounterMetricFamily(
            "agentnb_spans_dropped",
            "Spans that were not written: too many waited, or their folder failed.",
            value=self._hub.tracer.dropped,
        )

        yield _not_exported(self._hub)

    def _breakers(self) -> Metric:
        about = "Open circuit breakers: their hosts are left alone for a while."
        family = GaugeMetricFamily("agentnb_breaker_open", about, labels=["service"])
        for service, breakers in breakers_of(self._hub).items():
            family.add_metric([service], sum(one.state == "open" for one in breakers.values()))
        return family


def _not_exported(hub: Hub) -> Metric:
    return CounterMetricFamily(
        "agentnb_spans_not_exported",
        "Spans that no exporter of OpenTelemetry took: too many waited, or it failed.",
        value=sum(one.dropped for one in hub.trace.exports),
    )


def _queues(found: Depths) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        "agentnb_queue_jobs",
        "Jobs by state, of all machines; of those that ended, those that are kept.",
        labels=["queue", "state"],
    )
    ended = CounterMetricFamily(
        "agentnb_queue_ended",
        "Jobs that ever ended, of all machines, as the server counts them.",
        labels=["queue", "outcome"],
    )
    oldest = GaugeMetricFamily(
        "agentnb_queue_oldest_seconds",
        "For how long the first waiting job could have run; 0 where none waits.",
        labels=["queue"],
    )
    paused = GaugeMetricFamily(
        "agentnb_queue_paused", "Whether the queue is paused.", labels=["queue"]
    )
    workers = GaugeMetricFamily(
        "agentnb_workers", "Workers of the queue that are alive, of all machines.", labels=["queue"]
    )
    for one in found.queues:
        name = one.queue.name
        for state in STATES:
            jobs.add_metric([name, state], one.counts[state])
        for state in ENDED:
            ended.add_metric([name, state], one.counts[f"{state}_total"])
        oldest.add_metric([name], one.oldest or 0.0)
        paused.add_metric([name], float(one.paused))
        workers.add_metric([name], len(one.workers))
    yield from (jobs, ended, oldest, paused, workers)


def _agents(found: Depths) -> Iterator[Metric]:
    tasks = GaugeMetricFamily(
        "agentnb_agent_tasks",
        "Open tasks by state, of all machines.",
        labels=["agent", "state"],
    )
    oldest = GaugeMetricFamily(
        "agentnb_agent_oldest_seconds",
        "For how long the oldest waiting task could have run; 0 where none waits.",
        labels=["agent"],
    )
    workers = GaugeMetricFamily(
        "agentnb_agent_workers",
        "Workers of the agent that are alive, of all machines.",
        labels=["agent"],
    )
    for one in found.agents:
        for state in OPEN:
            tasks.add_metric([one.name, state], one.tasks[state])
        oldest.add_metric([one.name], one.oldest or 0.0)
        workers.add_metric([one.name], one.workers)
    yield from (tasks, oldest, workers)


def _work(kind: Kind, counters: Counters, names: Sequence[str]) -> Iterator[Metric]:
    """Yield the metrics of the jobs or the tasks of this process, zeros where nothing ran yet."""
    label = _LABELS[kind]
    found = dict.fromkeys(names, WorkCounts()) | counters.work(kind)
    started = CounterMetricFamily(
        f"agentnb_{kind}s_started", f"Attempts at {kind}s that this worker began.", labels=[label]
    )
    ended = CounterMetricFamily(
        f"agentnb_{kind}s",
        f"Attempts at {kind}s that ended in this worker, by outcome.",
        labels=[label, "outcome"],
    )
    reclaimed = CounterMetricFamily(
        f"agentnb_{kind}s_reclaimed",
        f"{kind.title()}s whose lease this worker took from a worker that is gone.",
        labels=[label],
    )
    durations = HistogramMetricFamily(
        f"agentnb_{kind}_duration_seconds",
        f"From the claim of a {kind} until the end of the attempt.",
        labels=[label],
    )
    waits = HistogramMetricFamily(
        f"agentnb_{kind}_wait_seconds",
        f"From the time at which a {kind} could run until its first claim.",
        labels=[label],
    )
    for name, counts in found.items():
        started.add_metric([name], counts.started)
        for outcome in dict.fromkeys((*_OUTCOMES, *counts.outcomes)):
            ended.add_metric([name, outcome], counts.outcomes.get(outcome, 0))
        reclaimed.add_metric([name], counts.reclaimed)
        durations.add_metric([name], **_of(counts.durations))
        waits.add_metric([name], **_of(counts.waits))
    if found:
        yield from (started, ended, reclaimed, durations, waits)


def _calls(counters: Counters) -> Metric:
    family = HistogramMetricFamily(
        "agentnb_call_duration_seconds",
        "Calls to services, by operation and outcome: ok, or the class of the error.",
        labels=["service", "operation", "outcome"],
    )
    for one in counters.calls():
        family.add_metric([one.service, one.operation, one.outcome], **_of(one.durations))
    return family


def _of(histogram: Histogram) -> dict[str, Any]:
    buckets = [(_bound(bound), count) for bound, count in histogram.cumulative]
    return {"buckets": buckets, "sum_value": histogram.total}


def _bound(seconds: float) -> str:
    return "+Inf" if seconds == float("inf") else repr(float(seconds))
