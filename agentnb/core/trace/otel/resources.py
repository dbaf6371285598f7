"""The process that spans are of, and the version of their maker, without the SDK."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agentnb.core.trace.process import Process

__all__ = ["SERVICE_NAME", "agentnb_version", "nanoseconds", "process_attributes"]

SERVICE_NAME: Final = "agentnb"
"""The name of the service where OTEL_SERVICE_NAME gives none."""


def agentnb_version() -> str:
    """Return the version of the installed distribution."""
    try:
        return version("agentnb-toolkit")
    except PackageNotFoundError:  # a checkout that is on the path
        return "0"


def process_attributes(process: Process) -> dict[str, str | int]:
    """Return the attributes of a resource for a process.

    >>> from agentnb.core.trace.process import Process
    >>> process_attributes(Process(7, "a", "notebook"))
    {'process.pid': 7, 'host.name': 'a', 'agentnb.role': 'notebook'}
    """
    return {"process.pid": process.pid, "host.name": process.host, "agentnb.role": process.role}


def nanoseconds(seconds: float) -> int:
    """Return a time since 1970 in nanoseconds.

    >>> nanoseconds(1.5)
    1500000000
    """
    return round(seconds * 1_000_000_000)
