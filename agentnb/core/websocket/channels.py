"""Which channels the names that a client subscribes to cover."""

from __future__ import annotations

__all__ = ["patterns"]


def patterns(name: str) -> tuple[str, ...]:
    """Return the patterns that a name stands for.

    A name covers its channel and all below it; the name of many covers what is told of one; a
    pattern is itself.

    >>> patterns("workflows")
    ('workflows', 'workflows.*', 'workflow', 'workflow.*')
    >>> patterns("agent.task"), patterns("agent.*.done")
    (('agent.task', 'agent.task.*'), ('agent.*.done',))
    """
    if any(character in name for character in "*?[\\"):
        return (name,)
    names = [name]
    if "." not in name and name.endswith("s") and not name.endswith("ss") and len(name) > 2:  # noqa: PLR2004 - "is" is no plural
        names.append(name[:-1])
    return tuple(pattern for one in names for pattern in (one, f"{one}.*"))
