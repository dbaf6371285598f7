"""The usage of containers, from one reading to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.docker.results import Stats
from agentnb.core.forking import new_lock

if TYPE_CHECKING:
    from agentnb.core.docker.engine import Engine

__all__ = ["Meter"]

_KEPT = 1000


class Meter:
    """Reads the usage of containers, and keeps their processor time for the next reading.

    Parameters
    ----------
    engine
        Where they are.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = new_lock()
        self._before: dict[str, tuple[int, int, int]] = {}

    def read(self, container: str) -> Stats:
        """Return the usage of a container now."""

        def work(api: Any) -> Any:
            # Without one-shot the engine takes a second or two to look twice.
            once = tuple(map(int, api.api_version.split("."))) >= (1, 41)
            return api.stats(container, stream=False, **({"one_shot": True} if once else {}))

        found = self._engine.call("stats", work, idempotent=True, container=container)
        return self._stats(container, found)

    def _stats(self, container: str, found: dict[str, Any]) -> Stats:
        cpu = found.get("cpu_stats") or {}
        total = int((cpu.get("cpu_usage") or {}).get("total_usage", 0))
        system = int(cpu.get("system_cpu_usage") or 0)
        count = int(cpu.get("online_cpus") or 1)
        with self._lock:
            before = self._before.get(container)
            if len(self._before) > _KEPT:
                self._before.clear()
            self._before[container] = (total, system, count)
        memory = found.get("memory_stats") or {}
        detail = memory.get("stats") or {}
        # What `docker stats` leaves out: files that are only cached.
        cached = int(detail.get("total_inactive_file", detail.get("inactive_file", 0)))
        nets = found.get("networks") or None
        return Stats(
            cpu=_percent(before, (total, system, count)),
            memory=max(0, int(memory.get("usage", 0)) - cached),
            memory_limit=int(memory.get("limit", 0)),
            pids=int((found.get("pids_stats") or {}).get("current", 0)),
            received=None if nets is None else sum(int(one["rx_bytes"]) for one in nets.values()),
            sent=None if nets is None else sum(int(one["tx_bytes"]) for one in nets.values()),
        )


def _percent(before: tuple[int, int, int] | None, now: tuple[int, int, int]) -> float | None:
    if before is None or now[1] <= before[1] or now[0] < before[0]:
        return None
    return round(100 * (now[0] - before[0]) / (now[1] - before[1]) * now[2], 1)
