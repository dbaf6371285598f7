"""The total time a call may take, over all of its attempts."""

from __future__ import annotations

from time import monotonic

from agentnb.core.errors import DeadlineExceeded
from agentnb.core.ranges import amount

__all__ = ["Deadline"]


class Deadline:
    """A point in time by which a call has to be over.

    Parameters
    ----------
    seconds
        Seconds from now; None for no deadline.
    since
        The time of `time.monotonic` from which they count; default: now.

    Raises
    ------
    UsageError
        The seconds are negative or not a number.

    Examples
    --------
    >>> Deadline(None).remaining() is None
    True
    >>> Deadline(60).clip(5)
    5
    >>> Deadline(0).expired
    True
    """

    __slots__ = ("_until", "seconds")

    def __init__(self, seconds: float | None, *, since: float | None = None) -> None:
        self.seconds = seconds
        self._until: float | None = None
        if seconds is not None:
            # A float, as the settings are, needs no second look: NaN is not 0 or more.
            if type(seconds) is not float or not seconds >= 0:
                hint = "give seconds from now, or None for no deadline"
                seconds = amount("timeout", seconds, service="resilience", hint=hint)
            self._until = (monotonic() if since is None else since) + seconds

    @classmethod
    def of(cls, value: Deadline | float | None) -> Deadline:
        """Return a deadline of so many seconds; one that is given is passed through, running."""
        if isinstance(value, Deadline):
            return value
        return _NEVER if value is None else cls(value)

    def remaining(self) -> float | None:
        """Return the seconds left, 0 when it has passed, None when there is no deadline."""
        return None if self._until is None else max(0.0, self._until - monotonic())

    @property
    def expired(self) -> bool:
        """Whether it has passed."""
        return self._until is not None and monotonic() >= self._until

    def check(self, service: str, doing: str) -> None:
        """Raise when it has passed.

        Parameters
        ----------
        service
            The service that was called: ``"db"``.
        doing
            What was being done, as in "query took longer than 5 s".

        Raises
        ------
        DeadlineExceeded
            When it has passed.
        """
        if self.expired:
            raise DeadlineExceeded(
                f"{doing} took longer than {self.seconds:g} s",
                service=service,
                hint="give it more time, or ask for less",
            )

    def clip(self, seconds: float | None) -> float | None:
        """Return the smaller of the seconds given and the seconds left; None is no limit."""
        left = self.remaining()
        if left is None or seconds is None:
            return seconds if left is None else left
        return min(left, seconds)

    def __repr__(self) -> str:
        left = self.remaining()
        return "Deadline(None)" if left is None else f"Deadline({left:.3f} s left)"


_NEVER = Deadline(None)
