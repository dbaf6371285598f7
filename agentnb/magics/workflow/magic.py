"""``%workflow``: make workflows, work on them, watch them; ``%%workflow``: one of a few lines."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_cell_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import AgentnbError, NotFoundError, UsageError, did_you_mean
from agentnb.core.table import cut_note
from agentnb.magics.base import Magic, Message
from agentnb.magics.workflow.grammar import CELL, GRAMMAR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.core.table import Table
    from agentnb.core.workflow import Orchestrator, Worker, Workflow
    from agentnb.magics.grammar import Call
    from agentnb.magics.workflow.render import TaskView, WorkflowView
    from agentnb.magics.workflow.streaming import Streamed

__all__ = ["WorkflowMagic"]

_NEWEST = 5
_SHOWN = 20
_DAYS = 30.0
_ENDED = {"failed": "failed", "cancelled": "was cancelled"}
_EMPTY = "no workflow yet: %%workflow NAME, and under it a line for each task: task: AGENT <- NEED"


def _of_agent(value: Any) -> str:
    return "as its agent says" if value is None else f"{value:g}"


@magics_class
class WorkflowMagic(Magic):
    """The magic ``%workflow`` and ``%%workflow``."""

    grammar = GRAMMAR
    cell_grammar = CELL

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def workflow(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Tasks that need one another; `%%workflow NAME` makes some. See `%workflow help`."""
        __tracebackhide__ = True
        return self.call(line, cell, local_ns)

    def reset(self) -> None:
        """Nothing is kept here: workflows are in the database, the worker is the hub's."""

    @property
    def _workflows(self) -> Orchestrator:
        return self.hub.workflows

    # What is there

    def status(self, call: Call) -> Table:  # noqa: ARG002 - magics share a signature
        """Return the newest workflows, and what to type next."""
        found = self._workflows.list(None, _NEWEST + 1)
        cut = cut_note(_NEWEST, ask="%workflow list -n N") if len(found) > _NEWEST else ""
        found = found[:_NEWEST]
        return self._listing(found, note="; ".join(filter(None, (cut, self._next(found)))))

    def _listing(self, found: list[Workflow], *, empty: str = _EMPTY, note: str = "") -> Table:
        from agentnb.magics.workflow.render import listing

        workflows = self._workflows
        counts, waited = workflows.counts(found), workflows.waited(found)
        return listing(found, counts, waited, empty=empty, note=note)

    def _next(self, found: list[Workflow]) -> str:
        """Return what the first of them waits for that anybody could do something about."""
        for workflow in found:
            if workflow.state == "active" and (why := workflow.why_waiting()):
                return f"{workflow.name} waits: {why}"
        return "%workflow show NAME, %workflow panel" if found else ""

    def free(self, call: Call, cell: str | None, namespace: Any) -> Any:
        """Never come to: a line is a verb, and a cell has a grammar of its own."""
        raise NotImplementedError

    def do_list(self, call: Call) -> Table:
        """Return the workflows."""
        state, count = call.options.get("state"), call.options.get("count", _SHOWN)
        found = self._workflows.list(state, count + 1)
        note = cut_note(count) if len(found) > count else ""
        empty = f"no {state} workflow" if state else _EMPTY
        return self._listing(found[:count], empty=empty, note=note)

    def do_show(self, call: Call) -> WorkflowView | TaskView:
        """Return a workflow whole, or one of its tasks."""
        from agentnb.magics.workflow.live import look
        from agentnb.magics.workflow.render import TaskView

        workflow = self._one(call)
        if len(call.arguments) > 1:
            task = workflow.task(str(call.arguments[1]))
            waits = workflow._open_waits() if task.state == "parked" else ()  # noqa: SLF001 - for magics
            return TaskView(workflow, task, workflow.logs(task.name), waits)
        return look(workflow)

    def do_tasks(self, call: Call) -> Table:
        """Return the tasks of a workflow."""
        from agentnb.magics.workflow.render import tasks_table

        state = call.options.get("state")
        workflow = self._one(call)
        waits = workflow._open_waits()  # noqa: SLF001 - for magics
        tasks = [task for task in workflow.tasks if state in {None, task.state}]
        return tasks_table(tasks, self._workflows.limits(), waits, empty=f"no {state} task")

    def do_events(self, call: Call) -> Any:
        """Return what has happened to a workflow."""
        from agentnb.magics.workflow.render import events

        count = call.options.get("count", _SHOWN)
        return events(self._one(call).events(count + 1), count)

    def do_agents(self, call: Call) -> Table:  # noqa: ARG002 - as above
        """Return the agents."""
        from agentnb.magics.workflow.render import agents

        return agents(self._workflows.agent_infos())

    def do_workers(self, call: Call) -> Table:  # noqa: ARG002 - as above
        """Return the workers."""
        return self._workflows.workers()

    def do_limit(self, call: Call) -> Table:
        """Limit an agent, or return the limits of all."""
        from agentnb.magics.grammar.values import number
        from agentnb.magics.workflow.render import limits

        words = ("per", "concurrency")
        given = {word: call.options[word] for word in words if word in call.options}
        if len(call.arguments) > 1:
            given["rate"] = number(call.arguments[1])
        if given and not call.arguments:
            raise UsageError(
                "no agent is named", service="workflow", hint="%workflow limit AGENT 60 --per 60"
            )
        if given:
            self._workflows.limit(call.arguments[0], **given)
        elif call.arguments:
            self._workflows.agent_info(call.arguments[0])
        return limits(self._workflows.limits(), *call.arguments[:1])

    def do_unlimit(self, call: Call) -> Table:
        """Remove the limit of an agent."""
        from agentnb.magics.workflow.render import limits

        self._workflows.unlimit(call.arguments[0])
        return limits(self._workflows.limits())

    def do_panel(self, call: Call) -> Any:
        """Open the panel."""
        chosen = {"workflow": self._one(call).id} if call.arguments else {}
        return self.hub.panel("workflow", **chosen)

    def _one(self, call: Call) -> Workflow:
        """Return the workflow that is named, or else the newest."""
        if call.arguments:
            given = call.arguments[0]
            return self._workflows.get(str(getattr(given, "id", given)))
        newest = self._workflows.list(None, 1)
        if not newest:
            raise NotFoundError(
                "there is no workflow yet", service="workflow", hint=_EMPTY.partition(": ")[2]
            )
        return newest[0]

    # Making and working

    def do_make(self, call: Call) -> WorkflowView | Table | Message:
        """Make the workflow of a cell, or its schedule."""
        from agentnb.core.workflow.errors import UnfitTask
        from agentnb.magics.workflow.joining import check_no_schedule, make_within, open_transaction
        from agentnb.magics.workflow.lines import parse
        from agentnb.magics.workflow.live import look
        from agentnb.magics.workflow.scheduling import deadline_of, is_schedule, make

        workflows = self._workflows
        name = call.arguments[0]
        if not isinstance(name, str):
            raise UsageError(
                f"a workflow is named by text, got a {type(name).__name__}",
                service="workflow",
                hint="%%workflow NAME",
            )
        scheduled = is_schedule(call)
        limit = deadline_of(call)
        lines = parse(call.body or "", call.namespace)
        for line in lines:
            if line.deprecated:
                print(f"line {line.number}: {line.deprecated}")  # noqa: T201 - for the cell's author
        words = ("key", "max_parallel", "data", "unknown")
        given: dict[str, Any] = {key: call.options[key] for key in words if key in call.options}
        within = open_transaction(self.extension, workflows)
        try:
            tasks = [line.task() for line in lines]
            if scheduled:
                check_no_schedule(within)
                return make(call, tasks, workflows)
            if within is not None:
                return make_within(within, call, workflows, tasks, given | limit)
            made = workflows.create(name, tasks, **given, **limit)
        except UnfitTask as error:
            raise lines[error.place].wrong(error) from error
        if made.state in {"failed", "cancelled"}:  # it is the earlier one of this key
            print(  # noqa: T201 - for the cell's author
                f"key {made.key} is workflow {made.id}, which {_ENDED[made.state]}: "
                f"nothing was made; %workflow retry {made.id} runs it again"
            )
        return self._work_on(made, call) if "run" in call.options else look(made)

    def do_schedule(self, call: Call) -> Any:
        """List the schedules, or act on one."""
        from agentnb.magics.workflow.scheduling import schedule

        return schedule(call, self._workflows)

    def do_run(self, call: Call) -> WorkflowView:
        """Work on a workflow here until it has ended or waits for a person."""
        return self._work_on(self._one(call), call)

    def _work_on(self, workflow: Workflow, call: Call) -> WorkflowView:
        from agentnb.magics.workflow.work import work_on

        return work_on(self._workflows, workflow, call.options, self.extension.shell)

    def do_watch(self, call: Call) -> WorkflowView:
        """Look at a workflow until it has ended."""
        from agentnb.magics.workflow.live import Live, follow, look

        workflow = self._one(call)
        live = Live(self.extension.shell, quiet="quiet" in call.options)
        view = None
        # Ctrl-C ends the looking; whoever works goes on.
        with suppress(KeyboardInterrupt):
            view, _ = follow(
                workflow, live, until=lambda _: False, timeout=call.options.get("timeout")
            )
        live.clear()
        return view or look(workflow)

    def do_stream(self, call: Call) -> Streamed:
        """Show what a task streams."""
        from agentnb.magics.workflow.streaming import chosen_task, show_stream

        workflow = self._one(call)
        named = str(call.arguments[1]) if len(call.arguments) > 1 else None
        return show_stream(
            workflow,
            chosen_task(workflow, named),
            stream=call.options.get("stream"),
            follow="no_follow" not in call.options,
            redactor=self.hub.settings.redactor,
            shell=self.extension.shell,
            quiet="quiet" in call.options,
        )

    def do_work(self, call: Call) -> Worker:
        """Do tasks in this kernel, in threads."""
        from agentnb.magics.workflow.work import start

        agents = [str(name) for name in call.arguments] or None
        known = self._agents()
        for name in agents or ():
            if name not in known:
                raise NotFoundError(
                    f"there is no agent {name}",
                    service="workflow",
                    hint=did_you_mean(name, known) or f"%%agent {name} over a cell that does it",
                )
        return start(self._workflows, call.options, agents)

    def do_stop(self, call: Call) -> Message:  # noqa: ARG002 - as above
        """Work no more here."""
        if self._workflows.worker is None:
            raise NotFoundError(
                "no worker is running in this kernel",
                service="workflow",
                hint="%workflow agents lists the workers elsewhere",
            )
        self._workflows.stop()
        return Message("stopped: waiting tasks run once a worker is started: %workflow work")

    # What people decide

    def do_approve(self, call: Call) -> Message:
        """Let tasks begin."""
        by = {"by": call.options["by"]} if "by" in call.options else {}
        return self._decide(call, lambda one, task: one.approve(task, **by), "approved")

    def do_reject(self, call: Call) -> Message:
        """Let tasks fail."""
        why = {"reason": call.options["reason"]} if "reason" in call.options else {}
        return self._decide(call, lambda one, task: one.reject(task, **why), "rejected")

    def _decide(self, call: Call, act: Callable[[Workflow, str], object], done: str) -> Message:
        workflow = self._one(call)
        names = [str(name) for name in call.arguments[1:]]
        if not names:
            asking = [task.name for task in workflow.tasks if task.state == "approval"]
            if len(asking) != 1:
                raise UsageError(
                    f"{len(asking)} tasks of {workflow.name} wait for approval"
                    if asking
                    else f"no task of {workflow.name} waits for approval",
                    service="workflow",
                    hint=f"name them: {', '.join(asking)}" if asking else "%workflow list",
                )
            names = asking
        for name in names:
            act(workflow, name)
        return Message(f"{workflow.name}: {', '.join(names)} {done}{self._who_works(workflow)}")

    def do_waits(self, call: Call) -> Table:
        """Return the open waits of a workflow, or of all."""
        return self._waits(self._one(call) if call.arguments else None)

    def _waits(self, workflow: Workflow | None, kind: str | None = None) -> Table:
        from agentnb.magics.workflow.asking import wait_table

        found = self._workflows._open_waits(workflow)  # noqa: SLF001 - for the magic
        found = [one for one in found if kind in {None, one.kind}]
        ids = dict.fromkeys(one.workflow_id for one in found)
        return wait_table(found, {number: self._workflows.get(number).name for number in ids})

    def do_answer(self, call: Call) -> Message | Table:
        """Answer a question, or list them."""
        from agentnb.magics.workflow.asking import answer

        if not call.arguments:
            return self._waits(None, "ask")
        workflow = self._one(call)
        said = answer(call, self._workflows, workflow)
        return Message(f"{said}{self._who_works(workflow)}")

    def do_retry(self, call: Call) -> Message:
        """Let what has failed run again."""
        workflow = self._one(call)
        task = str(call.arguments[1]) if len(call.arguments) > 1 else None
        step = call.options.get("from")
        if step is not None and task is None:
            raise UsageError(
                "--from needs the task that has the step",
                service="workflow",
                hint=f"%workflow retry {workflow.id} TASK --from STEP",
            )
        workflow.retry(task, from_step=step)
        begin = "" if step is None else f" from step {step}"
        return Message(
            f"{workflow.name}: {task or 'what failed'} runs again{begin}{self._who_works(workflow)}"
        )

    def do_set(self, call: Call) -> Message:
        """Change options of a task."""
        from agentnb.core.workflow.task_options import OPTIONS

        workflow, task = self._one(call), str(call.arguments[1])
        given = {name: call.options[name] for name in OPTIONS if name in call.options}
        workflow.set(task, **given)
        said = ", ".join(f"{name} {_of_agent(value)}" for name, value in given.items())
        return Message(f"{workflow.name}: {task}: {said}; an attempt that runs keeps its own")

    def do_forget(self, call: Call) -> Message:
        """Forget the result of a step."""
        workflow = self._one(call)
        task, step = str(call.arguments[1]), str(call.arguments[2])
        workflow.forget(task, step)
        return Message(
            f"{workflow.name}: step {step} of {task} is called again by its next attempt"
        )

    def do_pause(self, call: Call) -> Message:
        """Pause a workflow."""
        workflow = self._one(call).pause()
        return Message(f"{workflow.name}: paused: %workflow resume {workflow.id} lets it go on")

    def do_resume(self, call: Call) -> Message:
        """Resume a workflow."""
        workflow = self._one(call).resume()
        return Message(f"{workflow.name}: resumed{self._who_works(workflow)}")

    def do_cancel(self, call: Call) -> Message:
        """End a workflow."""
        workflow = self._one(call)
        workflow.cancel()
        return Message(
            f"{workflow.name}: cancelled: %workflow retry {workflow.id} takes it up again"
        )

    def do_prune(self, call: Call) -> Message:
        """Forget what ended long ago."""
        days = call.options.get("days", _DAYS)
        if "yes" not in call.options:
            raise UsageError(
                f"workflows that ended {days:g} days ago or longer would be deleted for good",
                service="workflow",
                hint=f"%workflow prune --days {days:g} --yes",
            )
        count = self._workflows.prune(days * 86_400)
        return Message(f"{count} {'workflow' if count == 1 else 'workflows'} deleted")

    def _who_works(self, workflow: Workflow) -> str:
        """Return what to type where nobody works on it now."""
        workflow.refresh()
        if self._workflows.worker is not None or workflow.state != "active":
            return ""
        return f": %workflow run {workflow.id}" if workflow.why_waiting() else ""

    # Tab

    def _agents(self) -> list[str]:
        return [one.name for one in self._workflows.agent_infos()]

    def live(self, kind: str, start: str = "") -> Iterable[str]:  # noqa: ARG002 - few enough
        """Return workflows, their tasks, or agents, for Tab."""
        from agentnb.magics.workflow.names import names_of

        if kind == "bound":
            return [f":{name}" for name in self.variables()]
        if kind == "zone":
            from zoneinfo import available_timezones

            return sorted(available_timezones())
        with suppress(AgentnbError):  # nobody is helped by an error while typing
            if kind == "agent":
                return self._agents()
            if kind == "schedule":
                return [one.name for one in self._workflows.schedule_infos()]
            return names_of(self._workflows, kind)
        return ()

    def free_names(self, before: str, word: str, text: str) -> list[tuple[str, str]]:  # noqa: ARG002 - as above
        """Return agents, needs and marks, where a line of ``%%workflow`` has them."""
        from agentnb.magics.workflow.lines import offered

        return offered(before.rpartition("\n")[2], text, lambda: list(self.live("agent")))
