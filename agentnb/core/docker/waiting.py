"""Waiting until a container is ready: healthy, a line, a port, or its end."""

from __future__ import annotations

import inspect
import re
import socket
from concurrent.futures import wait
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.background import run_in_thread
from agentnb.core.docker.attach import executed
from agentnb.core.docker.interrupting import check_cancelled
from agentnb.core.docker.logs import collect
from agentnb.core.docker.running import follow
from agentnb.core.errors import DeadlineExceeded, RejectedError, UnavailableError, UsageError
from agentnb.core.forking import new_event
from agentnb.core.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.docker.engine import Engine

__all__ = ["Waiting"]

_PAUSE = 0.1
_TAIL = 20
_WORDS = 300
_LISTENS = "0A"
_PEEK = 0.2
_LOOK = 10.0


class Waiting:
    """Waits for one container.

    Parameters
    ----------
    engine, container
        Which, by its id, and where.
    tty
        Whether the container has a terminal.
    timeout
        Seconds at most.
    until
        When they are over; default: from now on.
    """

    def __init__(
        self,
        engine: Engine,
        container: str,
        *,
        tty: bool,
        timeout: float,
        until: float | None = None,
    ) -> None:
        self._engine, self._container, self._tty = engine, container, tty
        self._timeout = timeout
        self._until = monotonic() + timeout if until is None else until
        self._pause = new_event()

    def healthy(self) -> None:
        """Wait until its own check says so."""

        def ready(state: dict[str, Any]) -> bool:
            health = state.get("Health")
            if not health or health.get("Status") == "none":
                raise UsageError(
                    "the image has no HEALTHCHECK",
                    service="docker",
                    hint="wait for a line or a port",
                )
            return bool(health["Status"] == "healthy")

        self._poll(ready, "is not healthy")

    def exited(self) -> int:
        """Wait for its end, and return its exit code."""
        state = self._poll(lambda state: not state["Running"], "has not ended", may_end=True)
        return int(state["ExitCode"])

    def line(self, expected: str | re.Pattern[str]) -> str:
        """Wait until it has printed a line that holds a text, or that a pattern finds."""
        pattern = re.compile(re.escape(expected)) if isinstance(expected, str) else expected
        left = max(0.1, self._until - monotonic())
        # The engine would not notice that nobody listens any more: each word is checked.
        lines = follow(
            self._engine,
            self._container,
            tty=self._tty,
            timeout=left,
            follow=1,
            stdout=1,
            stderr=1,
        )
        try:
            for line in lines:
                if pattern.search(line.text):
                    return line.text
                if monotonic() > self._until:
                    raise self._late(f"has not printed {pattern.pattern!r}")
        except DeadlineExceeded as error:
            raise self._late(f"has not printed {pattern.pattern!r}") from error
        finally:
            with suppress(UnavailableError):
                lines.close()
        raise self._ended(f"without having printed {pattern.pattern!r}")

    def port(self, port: int, published: int | None) -> None:
        """Wait until something listens on a port inside."""
        listens: Callable[[], bool] = (
            (lambda: _answers(published)) if published else (lambda: self._listens(port))
        )
        self._poll(lambda _: listens(), f"does not listen on port {port}")

    def function(self, ready: Callable[[], object]) -> None:
        """Wait until a function returns something true; one that raises is asked again.

        Raises
        ------
        UsageError
            The function was not used as it is meant to be, or uses the service so.
        """
        last: list[BaseException] = []

        def asked(_: dict[str, Any]) -> bool:
            last.clear()
            answer, error = _called(ready, max(_PAUSE, self._until - monotonic()))
            if isinstance(error, UsageError):
                raise error  # which waiting does not mend
            last.extend([error] if error is not None else [])
            return answer

        def what() -> str:
            return "is not ready" + (f" ({_message_of(last[0])})" if last else "")

        self._poll(asked, what)

    def _poll(
        self,
        ready: Callable[[dict[str, Any]], bool],
        what: str | Callable[[], str],
        *,
        may_end: bool = False,
    ) -> dict[str, Any]:
        while True:
            found = self._engine.call(
                "inspect", lambda api: api.inspect_container(self._container), idempotent=True
            )
            state: dict[str, Any] = found["State"]
            if not may_end and not state["Running"]:
                raise self._ended(f"with exit code {state['ExitCode']}")
            if ready(state):
                return state
            if monotonic() > self._until:
                raise self._late(what if isinstance(what, str) else what())
            check_cancelled()
            self._pause.wait(_PAUSE)

    def _listens(self, port: int) -> bool:
        """Return whether the port listens, read from inside of the container."""
        command = ["cat", "/proc/net/tcp", "/proc/net/tcp6"]
        made = self._engine.call(
            "listens", lambda api: api.exec_create(self._container, command, stderr=False)
        )
        with executed(self._engine, made["Id"]) as wire:
            text = collect(wire.lines(tty=False, timeout=_LOOK)).stdout
        if "local_address" not in text:
            raise UsageError(
                "the image has no cat to look with from inside",
                service="docker",
                hint="publish the port (ports=), or wait for a line",
            )
        rows = [line.split() for line in text.splitlines() if ":" in line]
        expected = f":{port:04X}"
        return any(len(r) > 3 and r[1].endswith(expected) and r[3] == _LISTENS for r in rows)  # noqa: PLR2004 - /proc/net/tcp

    def _late(self, what: str) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"the container {what} after {self._timeout:g} s{self._last()}",
            service="docker",
            hint="timeout= gives it more",
        )

    def _ended(self, how: str) -> RejectedError:
        return RejectedError(
            f"the container ended {how}{self._last()}",
            service="docker",
            hint="start it again, or look at its output: "
            "hub.docker.get_container_logs(NAME) (%docker logs NAME)",
        )

    def _last(self) -> str:
        lines = follow(
            self._engine, self._container, tty=self._tty, timeout=5, stdout=1, stderr=1, tail=_TAIL
        )
        try:
            text = str(collect(lines)).rstrip()
        except Exception:  # noqa: BLE001 - what is to be said is more important
            return ""
        return f":\n{text}" if text else ""


def _answers(port: int) -> bool:
    """Return whether a published port answers.

    The engine's own proxy accepts at once; where nothing is behind it, it closes at once.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as link:
            link.settimeout(_PEEK)
            try:
                return link.recv(1) != b""
            except TimeoutError:
                return True  # it waits for us to speak, as a web server does
    except OSError:
        return False


def _called(ready: Callable[[], object], seconds: float) -> tuple[bool, BaseException | None]:
    """Call a function with a time limit; return its answer and its error."""
    future = run_in_thread(lambda: _plain(ready()), name="ready")
    if not wait({future}, seconds).done:
        return False, TimeoutError("the function did not return")
    error = future.exception()
    return (False, error) if error else (future.result(), None)


def _plain(answer: object) -> bool:
    """Return whether a function's answer is true; that of a coroutine function is none."""
    if not inspect.iscoroutine(answer):
        return bool(answer)
    answer.close()
    raise UsageError(
        "ready returned a coroutine",
        service="docker",
        hint="await hub.docker.aservice(IMAGE, ready=COROUTINE_FUNCTION)",
    )


def _message_of(error: BaseException) -> str:
    return redact(f"{type(error).__name__}: {error}".partition("\n")[0])[:_WORDS]
