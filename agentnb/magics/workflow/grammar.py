"""The verbs and options of ``%workflow`` and ``%%agent``."""

from __future__ import annotations

from contextlib import suppress

from agentnb.core.ranges import OutsideError
from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import count, names, rows, seconds, times
from agentnb.magics.scheduling import TIME_ZONE, firing_options
from agentnb.magics.workflow.marks import or_agent, pause_seconds

__all__ = ["AGENT", "AGENT_CELL", "CELL", "GRAMMAR"]

_MOST_DAYS = 10_000
_STATES = ("active", "completed", "failed", "cancelled")
_TASK_STATES = (
    *("blocked", "approval", "delayed", "parked", "waiting"),
    *("active", "completed", "failed", "cancelled", "skipped"),
)


def _days(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= _MOST_DAYS:
            return value
    raise OutsideError(f"0 to {_MOST_DAYS:,} days")


_OF_AGENT = "; agent: as its agent says"
_EXECUTOR = Option(
    ("--executor",), "threads, processes, dask://HOST:PORT (default AGENTNB_EXECUTOR)", "WHERE"
)
_CONCURRENCY = Option(("-c", "--concurrency"), "tasks that run at once (default 5)", "N", count)
_TIMEOUT = Option(("--timeout",), "stop waiting after SECONDS", "SECONDS", seconds)
_ONE = ("[WORKFLOW]",)

GRAMMAR = Grammar(
    "workflow",
    "tasks that depend on each other, stored in the database, so they survive a crash; WORKFLOW is "
    "an id, its beginning, or a name, by default the newest",
    (
        Verb(
            "list",
            "list the workflows, the newest first",
            (),
            (
                Option(("--state",), "only those in this state", choices=_STATES),
                Option(("-n", "--count"), "maximum number (default 20)", "N", rows),
            ),
            twin="hub.workflows.list(STATE, N)",
        ),
        Verb(
            "show",
            "show the graph and the tasks of a workflow, or the data, result and log of a task",
            ("[WORKFLOW]", "[TASK]"),
            live=("workflow", "task"),
            twin="hub.workflows.get(WORKFLOW).tasks, or .task(TASK) and .logs(TASK)",
        ),
        Verb(
            "tasks",
            "list the tasks of a workflow with their results",
            _ONE,
            (Option(("--state",), "only those in this state", choices=_TASK_STATES),),
            live=("workflow",),
            twin="hub.workflows.get(WORKFLOW).tasks",
        ),
        Verb(
            "run",
            "run a workflow in this kernel until it ends or waits for a person",
            _ONE,
            (_CONCURRENCY, _TIMEOUT),
            live=("open",),
            twin="hub.workflows.work(concurrency=5), and wait for it as watch does",
        ),
        Verb(
            "watch",
            "display a workflow, wherever it runs, until it ends",
            _ONE,
            (_TIMEOUT,),
            live=("open",),
            twin="hub.workflows.get(WORKFLOW).wait(timeout=...)",
        ),
        Verb(
            "stream",
            "display what a task streams, as it comes, until it ends",
            ("[WORKFLOW]", "[TASK]"),
            (
                Option(("--stream",), "only this stream of it", "NAME", live="stream"),
                Option(("--no-follow",), "display what there is, without waiting for more"),
            ),
            live=("workflow", "task"),
            twin="hub.workflows.get(WORKFLOW).stream(TASK, NAME)",
        ),
        Verb(
            "approve",
            "approve tasks that wait for it, by default the only one",
            ("WORKFLOW", "[TASK...]"),
            (Option(("--by",), "who approves (default: you)", "NAME"),),
            live=("asking", "approval"),
            twin="hub.workflows.approve(WORKFLOW, TASK, by=...)",
        ),
        Verb(
            "reject",
            "reject tasks that wait for approval: they fail",
            ("WORKFLOW", "[TASK...]"),
            (Option(("--reason",), "why", "TEXT"),),
            live=("asking", "approval"),
            twin="hub.workflows.reject(WORKFLOW, TASK, reason=...)",
        ),
        Verb(
            "waits",
            "list the open waits of a workflow, or of all: questions, times, events",
            _ONE,
            live=("waiting",),
            twin="hub.workflows.waits(WORKFLOW)",
        ),
        Verb(
            "answer",
            "answer the question NAME of a task: VALUE is JSON, :name or text; without them the "
            "open questions",
            ("[WORKFLOW]", "[TASK]", "[NAME]", "[VALUE]"),
            (Option(("--by",), "who answers (default: you)", "NAME"),),
            live=("asked", "asking task", "question"),
            twin="hub.workflows.answer(WORKFLOW, TASK, NAME, VALUE)",
        ),
        Verb(
            "retry",
            "run failed and cancelled tasks again, and those skipped after them",
            ("WORKFLOW", "[TASK]"),
            (
                Option(
                    ("--from",),
                    "call this step of TASK again, and those kept after it",
                    "STEP",
                    live="step",
                ),
            ),
            live=("ended", "failed"),
            twin="hub.workflows.retry(WORKFLOW, TASK, from_step=STEP)",
        ),
        Verb(
            "forget",
            "delete the result of a step: the next attempt of its task calls it again",
            ("WORKFLOW", "TASK", "STEP"),
            live=("workflow", "task", "step"),
            twin="hub.workflows.forget(WORKFLOW, TASK, STEP)",
        ),
        Verb(
            "set",
            "change options of a task for its attempts to come",
            ("WORKFLOW", "TASK"),
            (
                Option(("--attempts",), f"attempts in total{_OF_AGENT}", "N", or_agent(count)),
                Option(
                    ("--backoff",),
                    f"before the second attempt, then doubled{_OF_AGENT}",
                    "SECONDS",
                    or_agent(pause_seconds),
                ),
                Option(
                    ("--timeout",), f"limit of an attempt{_OF_AGENT}", "SECONDS", or_agent(seconds)
                ),
                Option(("--priority",), "the lower number runs first", "N", times),
                Option(
                    ("--delay",), "wait for this long once it could run", "SECONDS", pause_seconds
                ),
            ),
            live=("open", "unended"),
            twin="hub.workflows.set(WORKFLOW, TASK, attempts=5)",
        ),
        Verb(
            "pause",
            "let no task of a workflow begin until it is resumed; running tasks go on",
            ("WORKFLOW",),
            live=("open",),
            twin="hub.workflows.pause(WORKFLOW)",
        ),
        Verb(
            "resume",
            "resume a paused workflow",
            ("WORKFLOW",),
            live=("paused",),
            twin="hub.workflows.resume(WORKFLOW)",
        ),
        Verb(
            "cancel",
            "cancel a workflow and its running tasks",
            ("WORKFLOW",),
            (),
            ("open",),
            twin="hub.workflows.cancel(WORKFLOW)",
        ),
        Verb(
            "events",
            "list the events of a workflow, the newest last",
            _ONE,
            (Option(("-n", "--count"), "maximum number (default 20)", "N", rows),),
            live=("workflow",),
            twin="hub.workflows.events(WORKFLOW, N)",
        ),
        Verb(
            "prune",
            "delete old workflows that have ended, with their tasks and events",
            (),
            (
                Option(("--days",), "that ended at least N days ago (default 30)", "N", _days),
                Option(("--yes",), "delete them for good"),
            ),
            twin="hub.workflows.prune(SECONDS)",
        ),
        Verb(
            "agents",
            "list the agents and their workers",
            twin="hub.workflows.agent_infos()",
        ),
        Verb(
            "workers",
            "list the workers of agents, on all machines",
            twin="hub.workflows.workers()",
        ),
        Verb(
            "limit",
            "limit an agent over all workers: RATE starts --per SECONDS, or a concurrency; "
            "without them the limits of all agents",
            ("[AGENT]", "[RATE]"),
            (
                Option(("--per",), "within which RATE tasks start at most", "SECONDS", seconds),
                Option(("-c", "--concurrency"), "tasks that run at once", "N", count),
            ),
            live=("agent",),
            twin="hub.workflows.limit(AGENT, 60, per=60, concurrency=3), .limits()",
        ),
        Verb(
            "unlimit",
            "remove the limit of an agent",
            ("AGENT",),
            live=("agent",),
            twin="hub.workflows.unlimit(AGENT)",
        ),
        Verb(
            "work",
            "run the tasks of all workflows by this kernel; of all agents, or of these",
            ("[AGENT...]",),
            (_CONCURRENCY, _EXECUTOR),
            live=("agent",),
            twin="hub.workflows.work(AGENTS, concurrency=5, executor=...)",
        ),
        Verb(
            "stop",
            "stop the worker of this kernel; running tasks may end",
            twin="hub.workflows.stop()",
        ),
        Verb(
            "schedule",
            "list the schedules with their next times, or act on one; %%workflow NAME --cron makes "
            "one",
            ("[NAME]",),
            (
                Option(("--pause",), "pause the schedule NAME"),
                Option(("--resume",), "resume it with its next time"),
                Option(("--trigger",), "create one workflow of it now"),
                Option(("--rm",), "remove it; its workflows stay"),
            ),
            live=("schedule",),
            twin="hub.workflows.schedules(), .schedule(NAME, CRON, TASKS), "
            ".get_schedule(NAME).pause()",
        ),
        Verb(
            "panel",
            "open the panel: graph, tasks, events and agents, live",
            _ONE,
            live=("workflow",),
            twin='hub.panel("workflow")',
        ),
    ),
    examples=(
        "%%agent scaffold     (the cell runs each task, as `task`, with `ctx`)",
        "%%workflow new-app --run     (one task a line:)",
        "    plan",
        '    api: scaffold {"name": "my-app"} <- plan !priority=1',
        "    release: publish <- api !approve",
        "%workflow approve new-app release",
        "%workflow watch new-app",
    ),
)

CELL = Grammar(
    "workflow",
    "create a workflow from the lines of the cell",
    (
        Verb(
            "make",
            "create a workflow",
            ("NAME",),
            (
                Option(("--key",), "create it once, however often the cell runs", "TEXT"),
                Option(
                    ("--max-parallel",),
                    "maximum number of tasks at once",
                    "N",
                    count,
                ),
                Option(
                    ("--data",),
                    "the data of the workflow, as JSON or :name",
                    "DATA",
                    json=True,
                ),
                Option(
                    ("--deadline",),
                    "cancel what is left of it after SECONDS, or at a time of ISO 8601",
                    "SECONDS|TIME",
                ),
                Option(
                    ("--unknown",),
                    "a task whose agent nobody has registered waits for it, or is refused",
                    choices=("refuse", "wait"),
                ),
                Option(("--run",), "run it at once, as %workflow run does"),
                _CONCURRENCY,
                Option(
                    ("--cron",),
                    "make a schedule instead, which creates it at the times of this line",
                    "CRON",
                ),
                Option(("--every",), "as --cron, every SECONDS", "SECONDS", seconds),
                TIME_ZONE,
                *firing_options("the last workflow is active"),
            ),
            cell=True,
        ),
    ),
)

AGENT = Grammar(
    "agent",
    "the agents that run the tasks of workflows; %%agent NAME makes a cell an agent",
    (
        Verb(
            "list",
            "list the agents and their workers",
            twin="hub.workflows.agent_infos()",
        ),
    ),
    examples=(
        "%%agent scaffold --attempts 2 --timeout 60",
        '    ctx.progress(0.5, "half")',
        '    {"app": task.data["name"]}',
    ),
    service="workflow",
)

AGENT_CELL = Grammar(
    "agent",
    "make the cell an agent, with `task` and `ctx` in scope; its result is the returned value, "
    "else the value of its last expression",
    (
        Verb(
            "define",
            "make the cell an agent",
            ("NAME",),
            (
                Option(("--attempts",), "attempts in total (default 3)", "N", count),
                Option(("--retries",), "deprecated: --attempts less one", "N", times),
                Option(
                    ("--timeout",),
                    "limit of an attempt (default 600)",
                    "SECONDS",
                    seconds,
                ),
                Option(
                    ("--capabilities",), "descriptions for people: a,b", "NAMES", names, adds=True
                ),
                Option(("--schema",), "the class of task.data", "NAME", live="schema"),
                Option(("--returns",), "the class of the result", "NAME", live="schema"),
            ),
            live=("agent",),
            cell=True,
        ),
    ),
    service="workflow",
)
