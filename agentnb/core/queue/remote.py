"""Jobs that run by an executor: their records, and what runs them on the far side."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import ConfigError, UsageError
from agentnb.core.forking import new_lock
from agentnb.core.modules import KeptModule, module_path
from agentnb.core.queue.handler import JobHandler
from agentnb.core.queue.processing import Processor, mark_of, processor_of
from agentnb.core.work.executors.far import FarSide, check_local, register
from agentnb.core.work.executors.names import find_named, name_of
from agentnb.core.work.executors.record import Record, versions
from agentnb.core.work.identity import host_name, shared_place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from agentnb.core.queue.claims import RedisWorkStore
    from agentnb.core.queue.parts import QueueParts
    from agentnb.core.queue.queue import Queue
    from agentnb.core.redis import RedisClient
    from agentnb.core.redis.keys import Keys
    from agentnb.core.work.attempt import Attempt

__all__ = ["FarJobs", "far_side", "job_records", "store_identity"]

CELL = "cell:"
_FUNCTION_HINT = (
    "give a function of a module: work(jobs.send, executor=...); threads run any function "
    "(%%queue task keeps a cell for other processes)"
)


def store_identity(redis: RedisClient, keys: Keys, *, make: bool = False) -> str:
    """Return the identity of a prefix on a server; empty where nobody has made one.

    It is a random text that is kept there, so that two sides which find the same one have the
    same server, whatever they call it.
    """
    key = keys.internal("identity")
    if make:
        redis.set(key, secrets.token_hex(8), nx=True)
    found: Any = redis.get(key)
    return "" if found is None else found.decode()


def job_records(
    queue: Queue, parts: QueueParts, keys: Keys, processor: Callable[[], Processor | None]
) -> Callable[[Attempt | None], Record]:
    """Return what makes the record of an attempt at a job of a queue.

    Raises
    ------
    UsageError
        The queue has no hub, or its processor cannot be imported by other processes.
    """
    if parts.hub is None:
        raise UsageError(
            f"executor= needs a hub, and queue {queue.name} was made without one",
            service="queue",
            hint="hub = agentnb.connect(); hub.queue(NAME).work(function, executor=...)",
        )
    redis = parts.redis.untraced
    version, python = versions()
    identity = store_identity(redis, keys, make=True)
    register(identity, parts.hub)  # for an executor whose calls run in this process
    frame = Record(
        "job",
        identity,
        shared_place(redis.target, keys.prefix),
        queue.name,
        lease=parts.lease,
        local_to=host_name() if redis.embedded else "",
        version=version,
        python=python,
    )
    named: list[tuple[Processor, Record]] = []

    def record(attempt: Attempt | None) -> Record:
        current = processor()
        if current is None:
            raise UsageError(
                f"{queue.name} has no processor in this process",
                service="queue",
                hint=f"hub.queue({queue.name!r}).work(function)",
            )
        if not named or named[0][0] is not current:
            named[:] = [(current, _with_code(frame, queue.name, current))]
        made = named[0][1]
        if attempt is None:
            return made
        claim = attempt.claim
        return _replace(
            made,
            id=claim.id,
            entry=claim.entry,
            owner=claim.owner,
            attempt=claim.attempt,
            waited=claim.waited,
            timeout=attempt.timeout,
        )

    record(None)
    return record


def _replace(record: Record, **changes: Any) -> Record:
    from msgspec.structs import replace as replaced

    return replaced(record, **changes)


def _with_code(frame: Record, name: str, processor: Processor) -> Record:
    """Return a record with the names of a processor and of its types."""
    if processor.needs:
        raise UsageError(
            f"the processor of {name} uses names of its notebook, which no other process has: "
            f"{', '.join(processor.needs)}",
            service="queue",
            hint="import or make them inside the cell; threads run it as it is",
        )
    if processor.cell:
        return _replace(frame, function=f"{CELL}{name}", timeout=processor.timeout)
    function = name_of(processor.function, "the processor", service="queue", hint=_FUNCTION_HINT)
    mark = mark_of(find_named(function))
    types = {}
    for what in ("schema", "returns"):
        given = getattr(processor, what)
        if given is not None and (mark is None or getattr(mark, what) is not given):
            types[what] = name_of(
                given,
                f"the {what}",
                service="queue",
                hint=f"mark the function in its module: @processor({name!r}, {what}=...)",
            )
    return _replace(frame, function=function, timeout=processor.timeout, **types)


class FarJobs:
    """Runs jobs that the workers of other processes have claimed; one for the queues of a hub.

    Parameters
    ----------
    redis, keys
        The server and the prefix.
    home
        Where cells are kept.
    queue
        Returns a queue by its name.
    """

    def __init__(
        self,
        redis: RedisClient,
        keys: Keys,
        *,
        home: Callable[[], Path | None],
        queue: Callable[[str], Queue],
    ) -> None:
        self._redis = redis.untraced
        self._keys = keys
        self._where = shared_place(redis.target, keys.prefix)
        self._shared = not redis.embedded
        self._home = home
        self._queue = queue
        self._lock = new_lock()
        self._identity = ""
        self._cells: dict[str, _Cell] = {}
        self._sides: dict[tuple[str, ...], FarSide] = {}
        self._stores: dict[str, RedisWorkStore] = {}

    def side(self, record: Record) -> FarSide:
        """Return what runs a record here.

        Raises
        ------
        ConfigError
            It is of another server, or its code cannot be used here.
        """
        check_local(record, shared=self._shared, name="server", variable="REDIS_URL")
        if record.local_to and record.where != self._where:
            raise self._other_store(record)  # which must not start a server of its own
        self._check_store(record)
        with self._lock:
            if record.function.startswith(CELL):
                return self._side(record, self._cell(record))
            key = (record.scope, record.function, record.schema, record.returns)
            found = self._sides.get(key)
            if found is None:
                processor = _processor(record)
                found = self._sides[key] = self._side(record, lambda: processor)
            return found

    def _check_store(self, record: Record) -> None:
        if self._identity != record.store:
            self._identity = store_identity(self._redis, self._keys)
        if self._identity != record.store:
            raise self._other_store(record)

    def _other_store(self, record: Record) -> ConfigError:
        names = "AGENTNB_HOME" if record.local_to else "REDIS_URL"
        return ConfigError(
            f"the jobs are those of {record.where}, and this process uses {self._where}",
            service="queue",
            hint=f"set {names} and AGENTNB_KEY_PREFIX to the same on both sides",
        )

    def _cell(self, record: Record) -> Callable[[], Processor]:
        name = record.function.removeprefix(CELL)
        found = self._cells.get(name)
        if found is None:
            home = self._home()
            if home is None:
                raise ConfigError(
                    "there is no home here, and cells are kept in one",
                    service="queue",
                    hint="name a function of a module in place of the cell",
                )
            found = _Cell(home, name)
            self._cells[name] = found
        found.refresh()
        processor = replace(found.processor, timeout=record.timeout)
        return lambda: processor

    def _side(self, record: Record, processor: Callable[[], Processor]) -> FarSide:
        queue = self._queue(record.scope)
        store = self._stores.get(record.scope)
        if store is None:
            store = self._stores[record.scope] = queue._work_store()  # noqa: SLF001 - its part
        return queue._far_side(store, processor)  # noqa: SLF001 - as above


class _Cell:
    """The cell of a queue that the home keeps, loaded again when it has run again."""

    processor: Processor

    def __init__(self, home: Path, name: str) -> None:
        self._name = name
        self._module = KeptModule(module_path(home, "queue", name), self._use)

    def refresh(self) -> None:
        self._module.refresh()

    def _use(self, module: ModuleType) -> None:
        self.processor = processor_of(module, self._module.path.name, self._name)


def _processor(record: Record) -> Processor:
    function = find_named(record.function)
    mark = mark_of(function)
    types = {
        what: find_named(name) if (name := getattr(record, what)) else getattr(mark, what, None)
        for what in ("schema", "returns")
    }
    return Processor(
        function,
        types["schema"],
        None,  # the attempt has the worker's
        record.function,
        returns=types["returns"],
    )


def far_side(
    parts: QueueParts,
    store: RedisWorkStore,
    processor: Callable[[], Processor | None],
    *,
    make: Callable[[str, bytes, int], Any],
) -> FarSide:
    """Return the parts that run the jobs of a queue here."""
    handler = JobHandler(parts, processor=processor, make=make, huey=lambda: None, before=None)
    return FarSide(store, handler, parts.loop, parts.log)
