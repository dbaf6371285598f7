"""A snapshot of the opened services together, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.overview.errors import ErrorLine
    from agentnb.core.queue.overview import QueueOverview
    from agentnb.core.workflow.running import RunningWorkflow

__all__ = ["Kind", "Need", "Overview", "ServiceCard"]

Kind = Literal[
    "breaker",
    "store",
    "failed",
    "approval",
    "question",
    "silent",
    "silent_agents",
    "worker",
    "dropped",
    "log",
    "disk",
]


@dataclass(frozen=True, slots=True)
class ServiceCard:
    """One service, and the calls to it in the last two minutes.

    Attributes
    ----------
    service
        Its name, such as ``db``.
    opened
        Whether the hub has opened it.
    about
        Its variety, or how many clients, handlers or workers it has.
    p50, p95
        The median and the 95th percentile of the durations in seconds; of all calls of this
        process where there were none lately, None where there was none at all.
    rate
        Calls each second.
    failed
        How many calls failed.
    new
        How many calls ended since the snapshot before, and how many of them failed.
    hits
        The share of hits among the lookups of a cache; None for another, and without lookups.
    breakers
        How many of its circuit breakers are open.
    """

    service: str
    opened: bool
    about: str = ""
    p50: float | None = None
    p95: float | None = None
    rate: float = 0.0
    failed: int = 0
    new: tuple[int, int] = (0, 0)
    hits: float | None = None
    breakers: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a person has to see to.

    Attributes
    ----------
    kind
        Its kind.
    subject
        The host, queue, workflow or service that it is about; with the kind it is unique.
    title, text
        The fact, and what belongs to it.
    count
        How many jobs or tasks it is about.
    bad
        Whether something fails, rather than waits.
    """

    kind: Kind
    subject: str
    title: str
    text: str
    count: int = 1
    bad: bool = False

    @property
    def key(self) -> str:
        """The kind and the subject."""
        return f"{self.kind}:{self.subject}"


@dataclass(frozen=True, slots=True)
class Overview:
    """A snapshot of the opened services.

    Attributes
    ----------
    at
        When it was taken, in seconds since the epoch.
    scope, home
        The key prefix, and the home's folder.
    needs
        The things that need a person, the most pressing first; empty if all is well.
    cards
        All services, the opened ones first.
    queues
        The queues with their jobs and workers.
    workflows
        The workflows that run, the newest first.
    errors
        The last errors of this process, and those that the stores keep, newest first.
    """

    at: float
    scope: str
    home: str
    needs: Sequence[Need] = ()
    cards: Sequence[ServiceCard] = ()
    queues: Sequence[QueueOverview] = ()
    workflows: Sequence[RunningWorkflow] = ()
    errors: Sequence[ErrorLine] = field(default_factory=list)
