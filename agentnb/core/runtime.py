"""The runtime of a service: its tracer, its redactor, its logs and its clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentnb.core.clock import Clock
from agentnb.core.redact import Redactor
from agentnb.core.trace.servicelog import ServiceLog
from agentnb.core.trace.spans import Tracer

if TYPE_CHECKING:
    from agentnb.core.tape.flight import FlightRecorder

__all__ = ["Runtime"]


@dataclass(frozen=True, eq=False)
class Runtime:
    """Tracer, redactor, logs and clock, which all services of a hub share.

    A service that is made without a hub makes a runtime of its own, or takes that of the
    service that it stands on: a cache takes its Redis client's.

    Parameters
    ----------
    tracer
        Keeps the spans; default: a new one, in memory.
    redactor
        Masks secrets in everything that is logged or stored; default: a new one, which knows no
        value and masks what looks like a secret.
    hub_id
        The hub whose log file takes the records; default: the log file of any hub.
    clock
        The time by which delayed work is due; default: the system's.
    ephemeral
        Whether nothing has to outlive the process, as in a test: SQLite files are not synced to
        the disk, and workflows may be kept in memory.
    flight
        Records the jobs and tasks that fail; None for a runtime without a home.

    Examples
    --------
    >>> runtime = Runtime(hub_id="hub-1")
    >>> runtime.redactor("password=hunter22")
    'password=••••••'
    >>> runtime.log("db", connection="main").extra
    {'hub': 'hub-1', 'data': {'connection': 'main'}}
    """

    tracer: Tracer = field(default_factory=Tracer)
    redactor: Redactor = field(default_factory=Redactor)
    hub_id: str | None = None
    clock: Clock = field(default_factory=Clock)
    ephemeral: bool = False
    flight: FlightRecorder | None = None

    def log(self, service: str, **data: object) -> ServiceLog:
        """Return the logger ``agentnb.<service>`` of this runtime.

        Parameters
        ----------
        service
            The service's name.
        **data
            Attached to each record.
        """
        return ServiceLog(service, self.hub_id, **data)
