"""Budgets: the requests, tokens and money that an agent may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agentnb.core.errors import Final
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import amount, choice, whole

if TYPE_CHECKING:
    from agentnb.core.workflow.usage import Usage

__all__ = ["Budget"]

_MOST = 10**15


@refuse_unknown("workflow")
@dataclass(frozen=True)
class Budget:
    """The most that the models of a task, or of its workflow, may be asked for.

    A request is refused, and its task fails with no other attempt, once one of the numbers is
    reached: the last answer may exceed it, no other request follows. Each request that is under
    way reserves the tokens and dollars of the largest answer so far. A request that would not fit
    beside those waits until one of them has ended; before the first answer is there, all others
    wait for it. One that is made within another, as by a model that asks an agent, does not wait,
    since the other waits for it; it is refused where no request is left beside those under way.
    Requests of one worker process never exceed ``requests``, and exceed ``tokens`` and ``cost``
    only by answers that are larger than all before, or made within others. Requests of other
    worker processes at the same time count for the budget of a workflow once they are answered. An
    answer that is kept from an earlier attempt is no request.

    Parameters
    ----------
    requests
        The number of requests; None for no limit.
    tokens
        Input and output tokens together; None for no limit.
    cost
        US dollars, of the models whose prices are known; None for no limit. If none of the first
        answers has a known price, the next request is refused: nothing would limit it.
    of
        ``"task"``, or ``"workflow"`` for all tasks of it together.

    Raises
    ------
    UsageError
        One of them is out of its range.

    Examples
    --------
    >>> Budget(tokens=50_000, cost=0.5)
    Budget(requests=None, tokens=50000, cost=0.5, of='task')
    """

    requests: int | None = None
    tokens: int | None = None
    cost: float | None = None
    of: Literal["task", "workflow"] = "task"

    def __post_init__(self) -> None:
        for name in ("requests", "tokens"):
            value = getattr(self, name)
            if value is not None:
                whole(name, value, service="workflow", least=0, most=_MOST)
        if self.cost is not None:
            amount("cost", self.cost, service="workflow", most=_MOST, hint="Budget(cost=0.5)")
        choice("of", self.of, ("task", "workflow"), service="workflow")

    def fits(self, used: Usage, under_way: int, expected: Usage) -> bool:
        """Return whether a request may begin beside others.

        Parameters
        ----------
        used
            The use of those that were answered.
        under_way
            The number of the others.
        expected
            The use that each of them is expected to have.
        """
        if not under_way:
            return True
        for most, spent, each in (
            (self.requests, used.requests, 1),
            (self.tokens, used.tokens, expected.tokens),
            (self.cost, used.cost or 0.0, expected.cost or 0.0),
        ):
            if most is not None and spent + (under_way + 1) * each > most:
                return False
        # Before the first answer nobody knows what one takes of these.
        return used.requests > 0 or (self.tokens is None and self.cost is None)

    def check(self, used: Usage, name: str, under_way: int = 0) -> None:
        """Refuse a request where the budget is used up, or where nobody can say if it is.

        Parameters
        ----------
        used
            The use of those that were answered.
        name
            The name of the task, or the id of the workflow.
        under_way
            The number of others that it cannot wait for.

        Raises
        ------
        Final
            It is.
        """
        if self.cost is not None and used.requests and used.cost is None:
            raise Final(
                f"the budget of {self.of} {name} is in dollars, and the price of its model is not "
                "known",
                service="workflow",
                hint="limit tokens: Durability(budget=Budget(tokens=50_000)); then "
                "workflow.retry() (%workflow retry WORKFLOW), which pays nothing again",
            )
        for what, most, spent in (
            ("requests", self.requests, used.requests + under_way),
            ("tokens", self.tokens, used.tokens),
            ("dollars", self.cost, used.cost or 0.0),
        ):
            if most is not None and spent >= most:
                used_up = f"${spent:,.6g} of ${most:,.6g}"
                if what != "dollars":
                    used_up = f"{spent:,} of {most:,} {what}"
                raise Final(
                    f"the budget of {self.of} {name} is used up: {used_up}",
                    service="workflow",
                    hint=f"Durability(budget=Budget({self._word(what)}=...)) allows more; then "
                    "workflow.retry() (%workflow retry WORKFLOW), which pays nothing again",
                )

    @staticmethod
    def _word(what: str) -> str:
        return "cost" if what == "dollars" else what
