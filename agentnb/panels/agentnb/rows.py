"""The rows of the board, from a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from agentnb.core.format import cut, duration
from agentnb.panels.base.cells import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentnb.core.overview.errors import ErrorLine
    from agentnb.core.overview.model import Need, Overview, ServiceCard
    from agentnb.core.queue.overview import QueueOverview
    from agentnb.core.workflow.running import RunningWorkflow

__all__ = ["PANELS", "offered", "sections_of"]

PANELS: Final = ("db", "cache", "events", "queue", "workflow", "files", "git", "docker")
"""The services that have a panel."""
_TYPE: Final = {
    "db": "%db select 1",
    "redis": "hub.redis.ping()",
    "cache": "%cache set KEY JSON",
    "events": "%events history",
    "queue": "%queue list",
    "workflow": "%workflow list",
    "files": "%files ls",
    "git": "%git status",
    "api": "%api get URL",
    "websocket": "%ws connect URL",
    "docker": "%docker ps",
}
_NEEDS, _QUEUES, _WORKFLOWS, _WORKERS = 8, 8, 8, 6
_LONGEST = 160
_LOOKED_AT: Final = ("approval", "question", "silent", "silent_agents", "worker")
_ACTS: Final = {"breaker": "reset", **dict.fromkeys(_LOOKED_AT, "look")}


def sections_of(found: Overview) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the rows of all sections, and the notes beside them."""
    needs = {one.key: need_row(one) for one in found.needs[:_NEEDS]}
    queues = sorted(found.queues, key=_stir, reverse=True)
    return {
        "needs": needs,
        "cards": {card.service: card_row(card, found) for card in found.cards},
        "queues": {one.queue.name: queue_row(one) for one in queues[:_QUEUES]},
        "workflows": {one.id: workflow_row(one) for one in found.workflows[:_WORKFLOWS]},
        "errors": {
            f"{one.when}:{crc32(repr(one).encode())}": error_row(one) for one in found.errors
        },
        "notes": {
            "head": head_of(found),
            "needs": {"text": _more(len(found.needs), _NEEDS)},
            "queues": {"text": _workers(queues, _more(len(queues), _QUEUES))},
            "workflows": {"text": _more(len(found.workflows), _WORKFLOWS)},
        },
    }


def _more(count: int, shown: int) -> str:
    return f"and {count - shown:,} more" if count > shown else ""


def head_of(found: Overview) -> dict[str, Any]:
    """Return the first line: whose this is, and whether all is well."""
    count = len(found.needs)
    well = "all is well"
    if count:
        well = "1 thing needs you" if count == 1 else f"{count:,} things need you"
    tone = "good" if not count else "bad" if any(one.bad for one in found.needs) else "warn"
    scope = f"scope {found.scope} · " if found.scope else ""
    return {"where": f"{scope}home {found.home}", "well": well, "tone": tone}


def need_row(need: Need) -> dict[str, Any]:
    """Return the row of something that needs a person, with the label of its button."""
    act = f"retry {need.count:,}" if need.kind == "failed" else _ACTS.get(need.kind, "")
    return {
        "title": cut(plain(need.title), _LONGEST),
        "text": cut(plain(need.text), _LONGEST),
        "tone": "bad" if need.bad else "warn",
        "act": act,
        "offer": "",
    }


def card_row(card: ServiceCard, found: Overview) -> dict[str, Any]:
    """Return the card of a service."""
    panel = int(card.service in PANELS)
    row = {"about": "", "number": "—", "unit": "not opened", "foot": _TYPE[card.service]}
    if card.opened:
        number, unit = _number(card, found)
        row = {"about": plain(card.about), "number": number, "unit": unit, "foot": _foot(card)}
    return row | {"tone": _tone(card), "panel": panel, "opened": int(card.opened)}


def _tone(card: ServiceCard) -> str:
    if not card.opened:
        return ""
    if card.breakers or card.new[1]:
        return "bad"
    return "warn" if card.failed else "good"


def _number(card: ServiceCard, found: Overview) -> tuple[str, str]:
    if card.service == "queue":
        count = sum(one.counts.waiting for one in found.queues)
        return f"{count:,}", "job waits" if count == 1 else "jobs wait"
    if card.service == "workflow":
        return f"{len(found.workflows):,}", "running"
    if card.service == "cache":
        return ("—", "no lookups") if card.hits is None else (f"{card.hits * 100:.0f}", "%")
    if card.p50 is None:
        return "—", "no calls"
    number, _, unit = duration(card.p50).partition(" ")
    return number, f"{unit} p50"


def _foot(card: ServiceCard) -> str:
    if card.breakers:
        return f"{card.breakers} breaker{'' if card.breakers == 1 else 's'} open"
    parts = []
    if card.failed:
        parts.append(f"{card.failed:,} failed")
    if card.rate:
        a_minute = f"{card.rate * 60:.0f}"
        calls = "call" if a_minute == "1" else "calls"
        parts.append(f"{card.rate:.1f} calls/s" if card.rate >= 1 else f"{a_minute} {calls}/min")
    if card.p95 is not None and len(parts) == 1:  # a card has no room for three
        parts.append(f"p95 {duration(card.p95)}")
    return " · ".join(parts) or "idle"


def _stir(one: QueueOverview) -> tuple[bool, int, str]:
    return bool(one.counts.left or one.counts["failed"]), one.counts.left, one.queue.name


def queue_row(one: QueueOverview) -> dict[str, Any]:
    """Return the row of a queue: its jobs by state, as parts of a bar and in words."""
    counts = one.counts
    parts = [
        ("done", counts["completed"], "good"),
        ("active", counts["active"], "brand"),
        ("waiting", counts.waiting, "dim"),
        ("delayed", counts["delayed"], "warn"),
        ("failed", counts["failed"], "bad"),
    ]
    words = [f"{count:,} {name}" for name, count, _ in parts[1:] if count]
    if one.paused:
        words.insert(0, "paused")
    return {
        "name": plain(one.queue.name),
        "parts": _parts([(count, tone) for _, count, tone in parts]),
        "text": " · ".join(words) or "idle",
    }


def _parts(parts: Sequence[tuple[int, str]], whole: int = 0) -> list[list[Any]]:
    total = max(sum(count for count, _ in parts), whole) or 1
    return [[round(count / total, 3), tone] for count, tone in parts if count]


def _workers(queues: Sequence[QueueOverview], more: str) -> str:
    found = {worker.owner: worker for one in queues for worker in one.workers}
    words = [
        f"{one.pid} on {plain(one.host)} runs {one.running} of {one.concurrency}"
        for one in list(found.values())[:_WORKERS]
    ]
    if len(found) > _WORKERS:
        words.append(f"and {len(found) - _WORKERS:,} more")
    count = f"{len(found):,} worker{'' if len(found) == 1 else 's'}"
    line = f"{count}: {' · '.join(words)}" if found else "no worker" if queues else ""
    return " · ".join(filter(None, (line, more)))


def workflow_row(one: RunningWorkflow) -> dict[str, Any]:
    """Return the row of a workflow that runs: how far it is."""
    words = [f"{one.completed:,} of {one.tasks:,}"]
    words += ["paused"] if one.paused else []
    words += ["waits for you"] if one.approvals or one.questions else []
    words += [f"{one.active:,} active"] if one.active else []
    words += [f"{one.failed:,} failed"] if one.failed else []
    parts = [
        (one.completed, "good"),
        (one.active, "brand"),
        (one.approvals, "warn"),
        (one.failed, "bad"),
    ]
    return {
        "name": cut(plain(one.name), _LONGEST),
        "parts": _parts(parts, one.tasks),
        "text": " · ".join(words),
    }


def _key_of(line: ErrorLine) -> str:
    return f"{line.when}:{crc32(repr(line).encode('utf-8', 'replace'))}"


def error_row(line: ErrorLine) -> dict[str, Any]:
    """Return the row of an error."""
    return {
        "when": round(line.when, 1),
        "service": line.service,
        "name": cut(plain(line.error), _LONGEST),
        "message": cut(plain(line.message), _LONGEST),
        "trace": line.trace_id or "",
    }


def offered(row: Mapping[str, Any], offer: str) -> dict[str, Any]:
    """Return the row of a need whose button asks before it does."""
    return {**row, "act": "back", "offer": offer}
