"""The workers of a Dask cluster as an executor; nothing of an attempt is kept in Dask."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.background import BackgroundThread, run_in_thread
from agentnb.core.errors import AgentnbError, ConfigError, UnavailableError
from agentnb.core.forking import new_lock
from agentnb.core.outage import OutageTracker
from agentnb.core.work.executors.engine import AttemptExecutor

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from distributed import Client

__all__ = ["ANSWER_SECONDS", "DaskExecutor"]

ANSWER_SECONDS = 5.0
"""How long a scheduler may take to answer, and a Dask worker to be checked."""
_CHECK_SECONDS = 20.0
_LOOK_SECONDS = 1.0
_SECONDS_A_WORKER = 0.04  # a large cluster sends heartbeats less often, too
_BEATS_MISSED = 2.5
_START = "start it: dask scheduler, and on each host: dask worker ADDRESS"
_TLS = (
    "give Dask's own settings: DASK_DISTRIBUTED__COMM__TLS__CA_FILE, __TLS__CLIENT__CERT "
    "and __TLS__CLIENT__KEY"
)
_log = logging.getLogger("agentnb.work")


class DaskExecutor(AttemptExecutor):
    """Runs calls on the workers of a Dask cluster.

    Each call is sent once: Dask neither repeats it after an error nor takes an equal one for the
    same. A Dask worker that `check` refused, also one that joins the cluster later, is sent
    nothing, nor is one whose heartbeats have stopped while there are others: Dask would give it
    calls for minutes.

    Parameters
    ----------
    client
        The client of the cluster.
    service
        The service of errors.
    address
        The address to connect to again after an outage; None if the client is the caller's.
    """

    def __init__(self, client: Client, *, service: str, address: str | None = None) -> None:
        self._client = client
        self._service = service
        self._address = address
        self._check: Callable[[], object] | None = None
        self._checking = new_lock()
        self._passed: set[str] = set()
        self._refused: dict[str, AgentnbError] = {}
        self._seen: dict[str, tuple[float, float]] = {}
        self._silent: set[str] = set()
        self._known: dict[str, int] | None = None
        self._closed = self._empty = False
        self._outage = OutageTracker(
            _log, "the Dask scheduler cannot be reached", "the Dask scheduler answers again"
        )
        self._thread = BackgroundThread(self._look, name="dask", log=_log)

    @classmethod
    def connect(cls, address: str, *, service: str) -> Self:
        """Connect to a scheduler.

        Parameters
        ----------
        address
            Such as ``dask://10.0.0.5:8786``, or ``tls://...`` with the certificates of Dask's own
            configuration.
        service
            The service of errors.

        Raises
        ------
        UnavailableError
            It does not answer within 5 s.
        ConfigError
            Something else answers there, or TLS is not configured.
        """
        return cls(_connected(address, service), service=service, address=address)

    # The cluster

    @property
    def threads(self) -> dict[str, int]:
        """The Dask workers that are sent calls, by their addresses, each with its threads.

        As they were at the last look, so that a heartbeat which says so waits for nobody.
        """
        found = self._present() if self._known is None else self._known
        return {address: found[address] for address in found if address not in self._refused}

    def _present(self) -> dict[str, int]:
        self._known = dict(self._ask(self._client.nthreads))
        return self._known

    @property
    def slots(self) -> int:
        """How many calls the cluster runs at once."""
        return sum(self.threads.values())

    def __str__(self) -> str:
        try:
            sizes = Counter(self.threads.values())
        except AgentnbError:
            return "dask, away"
        return "dask " + (" + ".join(f"{n}x{size}" for size, n in sorted(sizes.items())) or "0x0")

    def _ask(self, call: Callable[[], Any]) -> Any:
        """Call a method of the client that waits for the scheduler, for a bounded time."""
        try:
            return run_in_thread(call, name="dask-call").result(ANSWER_SECONDS)
        except AgentnbError:
            raise
        except (Exception, CancelledError) as error:
            raise self._away(error) from error

    @property
    def _where(self) -> str:
        scheduler = self._client.scheduler
        return str(scheduler.address) if scheduler is not None else "its address"

    def _away(self, error: BaseException | None = None) -> UnavailableError:
        client = self._client
        why = f": {_words(error)}" if error is not None else ""
        return UnavailableError(
            f"the Dask scheduler at {self._where} does not answer{why}",
            service=self._service,
            hint=_START
            if self._address is not None or client.status != "closed"
            else "its client is closed: work again with a new one",
        )

    # Checks

    def check(self, function: Callable[..., str | None], *args: Any) -> None:
        """Call a function on each Dask worker, on those that come later as well.

        It is called in a thread beside those of calls, so that a busy worker answers, too.

        Parameters
        ----------
        function, args
            An importable function and its arguments. It returns None where calls may be run, or
            a text that says why not.

        Raises
        ------
        ConfigError
            It refused a Dask worker, could not be imported there, or took more than 20 s.
        UnavailableError
            The scheduler does not answer.
        """
        self._check = partial(_call_in_thread, function, *args)
        self._passed, self._refused = set(), {}
        self._check_new()
        if self._refused:
            raise self._refusal(self._refused)
        self._thread.start()

    def _check_new(self) -> dict[str, AgentnbError]:
        """Check the Dask workers that have come, and return those that are refused."""
        with self._checking:
            present = set(self._present())
            self._passed &= present
            self._refused = {one: why for one, why in self._refused.items() if one in present}
            new = present - self._passed - self._refused.keys()
            if not new or self._check is None:
                return {}
            answers = self._run(sorted(new))
            found = {
                address: refused
                for address in sorted(new)
                if (refused := self._judged(address, answers.get(address, _silent))) is not None
            }
            self._refused |= found
            self._passed |= new - found.keys()
            return found

    def _run(self, workers: list[str]) -> dict[str, Any]:
        """Return the answer of each worker to the check; it is left out where there is none."""
        answers: dict[str, Any] = {}
        calls = {
            worker: run_in_thread(
                partial(self._client.run, self._check, workers=[worker], on_error="return"),
                name="dask-check",
            )
            for worker in workers
        }
        for worker, call in calls.items():
            try:
                answers |= call.result(_CHECK_SECONDS)
            except FutureTimeout:
                continue
            except (Exception, CancelledError) as error:  # noqa: BLE001 - told as its answer
                answers[worker] = error
        return answers

    def _judged(self, address: str, answer: object) -> AgentnbError | None:
        if answer is None:
            return None
        if isinstance(answer, AgentnbError):
            return answer
        hint = "install the same version on both sides: pip install agentnb-toolkit"
        if answer is _silent:
            text, hint = f"it did not answer within {_CHECK_SECONDS:g} s", "look at its log"
        elif isinstance(answer, BaseException):  # of another or no agentnb, most likely
            text = _words(answer)
        else:
            text, hint = str(answer), "mend it there, or stop that worker"
        return ConfigError(
            f"Dask worker {address} cannot run this: {text}", service=self._service, hint=hint
        )

    def _refusal(self, refused: dict[str, AgentnbError]) -> AgentnbError:
        first = next(iter(refused.values()))
        if len(refused) == 1:
            return first
        more = f"{first.message}; and so for {len(refused) - 1} more"
        return type(first)(more, service=self._service, hint=first.hint)

    def _look_for_silent(self) -> float:
        """Note which Dask workers send no heartbeats, and return the seconds until the next look.

        The times are of the scheduler's clock: only whether they change counts here.
        """
        found = self._ask(partial(self._client.scheduler_info, n_workers=-1))
        if "workers" not in found:  # the answer of a client that has just given up
            raise self._away()
        info = found["workers"]
        self._note_empty(not info)
        pause = max(_LOOK_SECONDS, len(info) * _SECONDS_A_WORKER)
        now = monotonic()
        before = self._seen
        self._seen = {
            address: before[address]
            if address in before and before[address][0] == one["last_seen"]
            else (one["last_seen"], now)
            for address, one in info.items()
        }
        silent = {
            address for address, (_, at) in self._seen.items() if now - at > _BEATS_MISSED * pause
        }
        for address in silent - self._silent:
            _log.warning("Dask worker %s sends no heartbeat; calls go to others", address)
        self._silent = silent
        return pause

    def _note_empty(self, empty: bool) -> None:  # noqa: FBT001 - the state to note
        """Log that the cluster has no worker, once, and that it has one again.

        It is no error: a cluster that scales by its load starts workers for the calls that wait.
        """
        if empty and not self._empty:
            line = "no Dask worker has joined %s; calls wait until one does: dask worker %s"
            _log.warning(line, self._where, self._where)
        elif self._empty and not empty:
            _log.info("a Dask worker has joined")
        self._empty = empty

    def _look(self) -> float:
        """Look after the Dask workers, and connect again where the client has given up."""
        pause = _LOOK_SECONDS
        try:
            if self._address is not None and self._client.status == "closed":
                self._client = _connected(self._address, self._service)
            pause = self._look_for_silent()
            for refused in self._check_new().values():
                hint = f" ({refused.hint})" if refused.hint else ""
                _log.error("%s; it is sent nothing%s", refused.message, hint)
        except AgentnbError as error:
            self._outage.failed(error)
        else:
            self._outage.succeeded()
        return pause

    # Calls

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call on one of the Dask workers.

        Raises
        ------
        UnavailableError
            The client has lost its scheduler, or no Dask worker may be sent anything.
        """
        client = self._client
        if self._closed or client.status != "running":
            raise self._away()
        options: dict[str, Any] = {"pure": False, "retries": 0}
        if self._refused or self._silent:
            if self._refused and not self._passed:
                raise self._refusal(self._refused)
            able = self._passed - self._silent or self._passed
            options |= {"workers": sorted(able), "allow_other_workers": False}
        found: Future[Any] = client.get_executor(**options).submit(function, *args, **kwargs)
        return found

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as Executor
        """Send nothing more; close the client, unless it is the caller's."""
        del wait, cancel_futures  # each call belongs to its attempt, which waits for it
        self._closed = True
        self._thread.stop()
        if self._address is not None:
            with suppress(Exception):  # it is closed, or its scheduler is gone
                self._client.close(timeout=ANSWER_SECONDS)


def _connected(address: str, service: str) -> Client:
    where = address.strip().rstrip("/")
    if where.startswith("dask://"):
        where = f"tcp://{where.removeprefix('dask://')}"
    try:
        # In a thread: Dask's own time-out does not hold for one that listens and says nothing.
        return run_in_thread(_connect, where, name="dask-connect").result(2 * ANSWER_SECONDS)
    except (OSError, FutureTimeout) as error:
        raise UnavailableError(
            f"no Dask scheduler answers at {where}: {_words(error)}", service=service, hint=_START
        ) from error
    except Exception as error:
        raise ConfigError(
            f"{where} cannot be used as a Dask scheduler: {_words(error)}",
            service=service,
            hint=_TLS if where.startswith("tls") else _START,
        ) from error


def _connect(where: str) -> Client:
    from distributed import Client, Security

    scheme, _, place = where.partition("://")
    host, _, port = place.rpartition(":")
    # A client that fails for it is waited for, for 10 s, when it is collected.
    if scheme == "tls" and not Security().get_connection_args("client").get("ssl_context"):
        raise ValueError("Dask's configuration names no certificates")
    with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS) as connection:
        # A scheduler speaks first; by TLS, the client does.
        if scheme == "tcp" and not connection.recv(1):
            raise OSError("it closed the connection")
    return Client(where, timeout=ANSWER_SECONDS, set_as_default=False, name="agentnb")


def _words(error: object) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _silent() -> None:
    """Stand for the answer of a Dask worker that gave none."""


async def _call_in_thread(function: Callable[..., object], *args: Any) -> object:
    """Call a function beside the calls of a Dask worker, whose event loop goes on."""
    return await asyncio.wrap_future(run_in_thread(function, *args, name="dask-call"))
