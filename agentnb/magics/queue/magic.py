"""``%queue``: add jobs, look at them, work; ``%%queue task``: a cell that processes them."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from IPython.core.magic import line_cell_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import AgentnbError, NotFoundError, RejectedError, UsageError, did_you_mean
from agentnb.magics.base import Magic, Message
from agentnb.magics.grammar import is_word
from agentnb.magics.made import CellFunctions
from agentnb.magics.queue.grammar import GRAMMAR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.queue import Batch, Job, Queue, TaskQueue, Worker
    from agentnb.core.queue.arguments import State
    from agentnb.core.table import Table
    from agentnb.magics.grammar import Call
    from agentnb.magics.queue.render import JobView

__all__ = ["QueueMagic"]

_SHOWN = 20
_OFFERED = 50
_PATIENCE = 1.0
_STATES_OF = {
    "job": ("waiting", "delayed", "active", "completed", "failed", "cancelled"),
    "ended": ("failed", "cancelled", "completed", "delayed"),
    "open": ("waiting", "delayed", "active"),
}


@magics_class
class QueueMagic(Magic):
    """The magic ``%queue`` and ``%%queue``."""

    grammar = GRAMMAR
    body_is_python = True

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def queue(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Add and process jobs; `%%queue task QUEUE` is a processor. See `%queue help`."""
        __tracebackhide__ = True
        return self.call(line, cell, local_ns)

    def __init__(self, extension: Any) -> None:
        super().__init__(extension)
        self._functions = CellFunctions()

    def reset(self) -> None:
        """Forget which cell made which processor; the processors are the hub's."""
        self._functions = CellFunctions()

    @property
    def _queues(self) -> TaskQueue:
        return self.hub.queues

    def _known(self, call: Call) -> Queue:
        """Return a queue that exists."""
        name = call.arguments[0]
        queue = self._queues.get_queue(name)
        names = self._queues.names()
        if name not in names:
            raise NotFoundError(
                f"there is no queue {name} yet",
                service="queue",
                hint=did_you_mean(name, names) or f"%queue add {name} JSON makes it",
            )
        return queue

    def status(self, call: Call) -> Table:  # noqa: ARG002 - magics share a signature
        """Return the queues, with their jobs by state."""
        return self._queues.table()

    def free(self, call: Call, cell: str | None, namespace: Any) -> Any:  # noqa: ARG002 - as above
        """Refuse a cell without a verb."""
        raise UsageError("%%queue needs a verb", service="queue", hint="%%queue task QUEUE")

    def live(self, kind: str, start: str = "") -> Iterable[str]:  # noqa: ARG002 - few enough
        """Return queues, jobs, or the notebook's variables, for Tab."""
        if kind == "bound":
            return [f":{name}" for name in self.variables()]
        if kind == "schema":
            return self.classes()
        if kind == "zone":
            from zoneinfo import available_timezones

            return sorted(available_timezones())
        if kind == "working":
            return filter(is_word, self._queues.working())
        with suppress(AgentnbError):  # an error helps nobody who types
            # Whoever types waits no longer than this for a server that hangs.
            patient = self._queues.within(_PATIENCE)
            names = patient.names()
            if kind == "queue":
                return filter(is_word, names)
            if kind == "batch":
                found = [one for name in names for one in patient.get_queue(name).batches(_OFFERED)]
                return filter(is_word, [one.key or one.id for one in found])
            if kind == "schedule":
                return [one.name for one in patient.schedule_infos()]
            return [
                id_
                for name in names
                for state in _STATES_OF[kind]
                for id_ in patient.get_queue(name).search_ids(cast("State", state), n=_OFFERED)
            ]
        return ()

    def in_scope(self) -> dict[str, type]:
        """Return what a processor is given."""
        from agentnb.core.queue import Job

        return {"job": Job}

    def do_add(self, call: Call) -> Job:
        """Add a job."""
        data: Any = call.arguments[1] if len(call.arguments) > 1 else None
        if len(call.words) > 1 and call.words[1].kind == "plain":  # in quotes it is text
            with suppress(ValueError):  # what is no JSON is the text itself
                data = json.loads(data)
        return self._queues.get_queue(call.arguments[0]).add(data, **_options_of(call))

    def do_map(self, call: Call) -> Batch:
        """Add a job for each item."""
        from agentnb.magics.queue.mapping import function_and_items

        queue = self._queues.get_queue(call.arguments[0])
        function, items = function_and_items(call.arguments[1:], call.words[1:])
        return queue.map(function, items, **_options_of(call))

    def do_batches(self, call: Call) -> Table | Batch:
        """Return the batches, or one of them."""
        from agentnb.magics.queue.mapping import batches

        n = call.options.get("count", _SHOWN)
        if not call.arguments:
            queues = [self._queues.get_queue(name) for name in self._queues.names()]
            return batches([one for queue in queues for one in queue.batches(n)], "QUEUE")
        queue = self._known(call)
        if len(call.arguments) > 1:
            return queue.batch(call.arguments[1])
        return batches(queue.batches(n), queue.name)

    def do_task(self, call: Call) -> Message:
        """Make the cell the queue's processor, in the place of the one before."""
        from agentnb.magics.queue.task import make_processor

        queue = self._queues.get_queue(call.arguments[0])
        home = self.hub.settings.home
        shell = self.extension.shell
        return make_processor(call, queue, self.types(call), home, shell, self._functions)

    def do_work(self, call: Call) -> Worker:
        """Process the jobs of a queue in this kernel."""
        name = call.arguments[0]
        queue = self._queues.get_queue(name)
        drain = "drain" in call.options
        if drain and queue.paused:
            raise RejectedError(
                f"{name} is paused: none of its jobs would end",
                service="queue",
                hint=f"%queue resume {name}",
            )
        words = ("concurrency", "executor")
        given = {word: call.options[word] for word in words if word in call.options}
        if queue.current is None:
            from agentnb.magics.queue.task import use_kept_cell

            use_kept_cell(queue, self.hub.settings.home)
        worker = queue.work(**given)
        if drain:
            self._drain(worker, name)
        elif "quiet" not in call.options and hasattr(self.extension.shell, "kernel"):
            from agentnb.magics.queue.live import follow

            follow(queue, worker)
        return worker

    def _drain(self, worker: Worker, name: str) -> None:
        from agentnb.magics.progress import Progress

        # At once, since the first job may take long and changes alone are reported.
        with Progress(name, after=0.0) as progress:

            def report(done: int, total: int) -> None:
                if total:
                    progress(done, total)

            try:
                worker.drain(on_progress=report)
            except KeyboardInterrupt:
                print(f"{name} still has a worker: %queue stop {name}")  # noqa: T201 - what an interrupt leaves
                raise

    def do_stop(self, call: Call) -> Message:
        """Stop working on a queue here."""
        name = call.arguments[0]
        queue = self._queues.get_queue(name)
        if queue.worker is None:
            working = list(self.live("working"))
            raise NotFoundError(
                f"no worker of {name} is running in this kernel",
                service="queue",
                hint=did_you_mean(name, working) or f"%queue workers {name} shows who does",
            )
        orderly = queue.stop()
        return Message(
            f"{name}: stopped" if orderly else f"{name}: stopped; the jobs that ran were released"
        )

    def do_list(self, call: Call) -> Table:
        """Return the queues."""
        return self.status(call)

    def do_jobs(self, call: Call) -> Table:
        """Return the jobs of a queue."""
        from agentnb.core.queue.counts import STATES
        from agentnb.core.table import cut_note
        from agentnb.magics.queue.render import jobs

        queue, state = self._known(call), call.options.get("state")
        found = queue.jobs(state, call.options.get("count", _SHOWN))
        what = f"no {state} job" if state else "no job"
        reasons = dict(zip([job.id for job in found], queue.reasons(found), strict=True))
        counts = queue.counts()
        total = sum(counts[one] for one in (STATES if state is None else (state,)))
        return jobs(
            found,
            reasons,
            empty=f"{what} in {queue.name}: %queue add {queue.name} JSON",
            note=cut_note(len(found), total),
        )

    def do_show(self, call: Call) -> JobView:
        """Return a job whole."""
        from agentnb.magics.queue.bulk import id_of
        from agentnb.magics.queue.render import JobView

        return JobView(self._queues.find(id_of(call.arguments[0])))

    def do_retry(self, call: Call) -> Message:
        """Run jobs again."""
        return self._each(call, "retry", "retried")

    def do_cancel(self, call: Call) -> Message:
        """Cancel jobs."""
        return self._each(call, "cancel", "cancelled")

    def do_rm(self, call: Call) -> Message:
        """Remove jobs."""
        return self._each(call, "remove", "removed")

    def _each(self, call: Call, deed: str, done: str) -> Message:
        from agentnb.magics.queue.bulk import chosen, each

        return each(call, chosen(call, self._queues), deed, done)

    def do_pause(self, call: Call) -> Message:
        """Pause a queue."""
        queue = self._known(call)
        queue.pause()
        return Message(f"{queue.name}: paused; running jobs go on: %queue resume {queue.name}")

    def do_resume(self, call: Call) -> Message:
        """Resume a queue."""
        queue = self._known(call)
        queue.resume()
        return Message(f"{queue.name}: resumed")

    def do_limit(self, call: Call) -> Table:
        """Limit a queue, or return limits."""
        from agentnb.magics.grammar.values import number
        from agentnb.magics.queue.render import limits

        names = [("per", "per"), ("concurrency", "concurrency"), ("by", "by")]
        given = {name: call.options[key] for key, name in names if key in call.options}
        if len(call.arguments) > 1:
            given["rate"] = number(call.arguments[1])
        if not call.arguments:
            if given:
                raise UsageError(
                    "no queue is named", service="queue", hint="%queue limit QUEUE 10 --per 60"
                )
            return limits(self._queues.overview())
        queue = self._queues.get_queue(call.arguments[0])
        if given:
            queue.limit(**given)
        return limits(self._queues.overview([queue.name]))

    def do_unlimit(self, call: Call) -> Table:
        """Remove limits of a queue."""
        from agentnb.magics.queue.render import limits

        queue = self._known(call)
        queue.unlimit(**({"by": call.options["by"]} if "by" in call.options else {}))
        return limits(self._queues.overview([queue.name]))

    def do_schedule(self, call: Call) -> Any:
        """List schedules, make one, or act on one."""
        from agentnb.magics.queue.scheduling import schedule

        return schedule(call, self._queues)

    def do_workers(self, call: Call) -> Table:
        """Return the workers of queues."""
        return self._queues.workers([self._known(call).name] if call.arguments else None)

    def do_panel(self, call: Call) -> Any:  # noqa: ARG002 - as status
        """Open the panel."""
        return self.hub.panel("queue")


def _options_of(call: Call) -> dict[str, Any]:
    """Return the options of jobs that a line gives, by the names that `Queue.add` has."""
    names = {"correlation": "correlation_id"}
    known = ("priority", "delay", "attempts", "backoff", "timeout", "key", "lifo", "result_ttl")
    return {
        names.get(key, key): call.options[key] for key in (*known, *names) if key in call.options
    }
