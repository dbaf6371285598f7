"""The findings of the doctor, as a table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FAILED", "MISSING", "OK", "WARNING", "Diagnosis", "Finding"]

OK = "ok"
MISSING = "missing"
"""An optional part that is not here, and that no setting asks for."""
WARNING = "warning"
FAILED = "failed"

_INDENT = 4


class Finding(NamedTuple):
    """One line of a diagnosis.

    Attributes
    ----------
    part
        The part that was examined, such as ``"redis"``.
    state
        ``"ok"``, ``"missing"`` for an optional part that is not here, ``"warning"`` or
        ``"failed"``.
    detail
        Versions, addresses, or the reason.
    mend
        The line that mends it; empty where nothing has to be mended.
    """

    part: str
    state: str
    detail: str
    mend: str = ""


class Diagnosis(Table):
    """The findings of the doctor.

    Parameters
    ----------
    findings
        The findings, in their order.

    Examples
    --------
    >>> found = Diagnosis([Finding("git", "failed", "no git on PATH", "sudo apt install git")])
    >>> found
    state   part  detail
    failed  git   no git on PATH
                  mend: sudo apt install git
    1 failed
    >>> found.ok, found.to_dict()["checks"][0]["mend"]
    (False, 'sudo apt install git')
    """

    __slots__ = ()

    def __init__(self, findings: Iterable[Finding]) -> None:
        columns = ("part", Column("state", "state"), "detail", "mend")
        super().__init__(columns, list(findings), display=None)
        self.note = _summary(self.column("state"))

    @property
    def ok(self) -> bool:
        """Whether nothing has failed; what is missing or a warning does not count."""
        return FAILED not in self.column("state")

    def to_dict(self) -> dict[str, Any]:
        """Return the findings for a program to read."""
        return {"ok": self.ok, "checks": self.dicts()}

    def __repr__(self) -> str:
        """Return the findings, each with the line that mends it whole below it."""
        rows = [("state", "part", "detail"), *((row[1], row[0], row[2]) for row in self.rows)]
        states, parts = (max(len(row[at]) for row in rows) for at in (0, 1))
        margin = " " * (states + parts + _INDENT)
        lines = []
        for at, row in enumerate(rows):
            lines.append(f"{row[0]:<{states}}  {row[1]:<{parts}}  {row[2]}".rstrip())
            if at and (mend := self.rows[at - 1][3]):
                lines.append(f"{margin}mend: {mend}")
        return "\n".join([*lines, self.note])

    def _repr_html_(self) -> str:
        """Return the table, in which the lines that mend are code, whole."""
        text = super()._repr_html_()
        for row in self.rows:
            if mend := row[3]:
                shown = _cell(mend)
                text = text.replace(f">{shown}</td>", f"><code>{escape(mend)}</code></td>", 1)
        return text


def _cell(text: str) -> str:
    from agentnb.core.table import text_of

    return escape(text_of(text))


def _summary(states: list[str]) -> str:
    """Return the number of findings of each state that is not ok.

    >>> _summary(["ok", "missing", "failed", "missing"]), _summary(["ok"])
    ('1 failed, 2 missing', 'all is well')
    """
    counts = [(states.count(state), state) for state in (FAILED, WARNING, MISSING)]
    return ", ".join(f"{count} {state}" for count, state in counts if count) or "all is well"
