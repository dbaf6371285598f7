"""The verbs and options of ``%workflow`` and ``%%agent``."""

from __future__ import annotations

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import count, names, rows, seconds, times

__all__ = ["AGENT", "AGENT_CELL", "CELL", "GRAMMAR"]

_MOST_DAYS = 10_000
_STATES = ("active", "completed", "failed", "cancelled")
_TASK_STATES = (
    *("blocked", "approval", "delayed", "waiting"),
    *("active", "completed", "failed", "cancelled", "skipped"),
)


def _days(text: str) -> float:
    value = float(text)
    if not 0 <= value <= _MOST_DAYS:
        raise ValueError(f"a number of days from 0 to {_MOST_DAYS}")
    return value


_CONCURRENCY = Option(("-c", "--concurrency"), "how many tasks at once (default 5)", "N", count)
_TIMEOUT = Option(("--timeout",), "stop looking after so many seconds", "SECONDS", seconds)
_ONE = ("[WORKFLOW]",)

GRAMMAR = Grammar(
    "workflow",
    "tasks that need one another, kept in the database: they survive a crash; a workflow is named "
    "by its id, the beginning of it, or its name; where it may be left away it is the newest",
    (
        Verb(
            "list",
            "the workflows, the newest first",
            (),
            (
                Option(("--state",), "only those in this state", choices=_STATES),
                Option(("-n", "--count"), "how many at most (20)", "N", rows),
            ),
            twin="hub.workflows.list(STATE, N)",
        ),
        Verb(
            "show",
            "a workflow whole: its graph and its tasks; or one task: data, result or error, log",
            ("[WORKFLOW]", "[TASK]"),
            live=("workflow", "task"),
            twin="hub.workflows.get(WORKFLOW).tasks, or .task(TASK) and .logs(TASK)",
        ),
        Verb(
            "tasks",
            "the tasks of a workflow with their results",
            _ONE,
            (Option(("--state",), "only those in this state", choices=_TASK_STATES),),
            live=("workflow",),
            twin="hub.workflows.get(WORKFLOW).tasks",
        ),
        Verb(
            "run",
            "work on a workflow in this kernel until it has ended or waits for a person",
            _ONE,
            (_CONCURRENCY, _TIMEOUT),
            live=("open",),
            twin="hub.workflows.work(concurrency=5), and wait for it as watch does",
        ),
        Verb(
            "watch",
            "look at a workflow, wherever it is worked on, until it has ended",
            _ONE,
            (_TIMEOUT,),
            live=("open",),
            twin="hub.workflows.get(WORKFLOW).wait(timeout=...)",
        ),
        Verb(
            "approve",
            "let tasks begin that wait for it: those named, or the one there is",
            ("WORKFLOW", "[TASK...]"),
            (Option(("--by",), "who approves (default: you)", "NAME"),),
            live=("asking", "approval"),
            twin="hub.workflows.approve(WORKFLOW, TASK, by=...)",
        ),
        Verb(
            "reject",
            "let such tasks fail instead",
            ("WORKFLOW", "[TASK...]"),
            (Option(("--reason",), "why", "TEXT"),),
            live=("asking", "approval"),
            twin="hub.workflows.reject(WORKFLOW, TASK, reason=...)",
        ),
        Verb(
            "retry",
            "let what failed or was cancelled run again, and what was skipped after it",
            ("WORKFLOW", "[TASK]"),
            live=("ended", "failed"),
            twin="hub.workflows.retry(WORKFLOW, TASK)",
        ),
        Verb(
            "forget",
            "forget the result of a step, so that the next attempt at its task calls it again",
            ("WORKFLOW", "TASK", "STEP"),
            live=("workflow", "task"),
            twin="hub.workflows.forget(WORKFLOW, TASK, STEP)",
        ),
        Verb(
            "cancel",
            "end a workflow; what runs is asked to stop",
            ("WORKFLOW",),
            (),
            ("open",),
            twin="hub.workflows.cancel(WORKFLOW)",
        ),
        Verb(
            "events",
            "what has happened to a workflow, the newest last",
            _ONE,
            (Option(("-n", "--count"), "how many at most (20)", "N", rows),),
            live=("workflow",),
            twin="hub.workflows.events(WORKFLOW, N)",
        ),
        Verb(
            "prune",
            "forget workflows that ended long ago, with all that is kept of them",
            (),
            (
                Option(("--days",), "so many days ago (30)", "N", _days),
                Option(("--yes",), "do it: what is forgotten does not come back"),
            ),
            twin="hub.workflows.prune(SECONDS)",
        ),
        Verb(
            "agents",
            "who does the tasks, and who of them is there",
            twin="hub.workflows.agent_infos()",
        ),
        Verb(
            "work",
            "do the tasks of any workflow in this kernel, in threads; by all agents, or by these",
            ("[AGENT...]",),
            (_CONCURRENCY,),
            live=("agent",),
            twin="hub.workflows.work(AGENTS, concurrency=5)",
        ),
        Verb(
            "stop",
            "stop working here; what runs may end",
            twin="hub.workflows.stop()",
        ),
        Verb(
            "panel",
            "a live view of the workflows",
            _ONE,
            live=("workflow",),
            twin='hub.panel("workflow")',
        ),
    ),
    examples=(
        "%%agent scaffold     (the cell's body does each task, as `task`, with `ctx`)",
        "%%workflow new-app --run     (one task a line under it:)",
        "    plan",
        '    api: scaffold {"name": "my-app"} <- plan !priority=1',
        "    release: publish <- api !approve",
        "%workflow approve new-app release",
        "%workflow watch new-app",
    ),
)

CELL = Grammar(
    "workflow",
    "make a workflow of the lines below",
    (
        Verb(
            "make",
            "what it is called",
            ("NAME",),
            (
                Option(("--key",), "with this key it is made once, however often you ask", "TEXT"),
                Option(("--max-parallel",), "how many tasks at once at most", "N", count),
                Option(
                    ("--data",),
                    "what all its tasks may know: JSON, or :name",
                    "DATA",
                    json=True,
                ),
                Option(("--run",), "work on it at once, as %workflow run does"),
                _CONCURRENCY,
            ),
            cell=True,
        ),
    ),
)

AGENT = Grammar(
    "agent",
    "who does the tasks of workflows; %%agent NAME makes a cell an agent",
    (
        Verb(
            "list",
            "the agents, and who of them is there",
            twin="hub.workflows.agent_infos()",
        ),
    ),
    examples=(
        "%%agent scaffold --attempts 2 --timeout 60",
        '    ctx.progress(0.5, "half")',
        '    {"app": task.data["name"]}',
    ),
)

AGENT_CELL = Grammar(
    "agent",
    "make the cell an agent, with `task` and `ctx` in scope; its result is what it returns, else "
    "the value of its last expression",
    (
        Verb(
            "define",
            "what tasks call it",
            ("NAME",),
            (
                Option(("--attempts",), "how often a task may run in total (3)", "N", count),
                Option(("--retries",), "deprecated: --attempts less one", "N", times),
                Option(("--timeout",), "that an attempt may take (600)", "SECONDS", seconds),
                Option(
                    ("--capabilities",), "what it can do, for people", "NAMES", names, adds=True
                ),
                Option(("--schema",), "a class that task.data is read as", "NAME", live="schema"),
                Option(("--returns",), "a class that the result is read as", "NAME", live="schema"),
            ),
            live=("agent",),
            cell=True,
        ),
    ),
)
