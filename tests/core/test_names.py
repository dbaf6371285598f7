"""Names that were replaced do not come back: as modules, classes, functions or attributes."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import agentnb

SOURCE = Path(agentnb.__file__).parent
MODULE, CLASS, FUNCTION, ATTRIBUTE = "module", "class", "function", "attribute"
CODE = (FUNCTION, ATTRIBUTE)


class Old(NamedTuple):
    """Names that were replaced, the folders below which they are refused, and their successor."""

    names: str
    kinds: tuple[str, ...]
    now: str
    within: tuple[str, ...] = ("",)


OLD = (
    Old("ears tender heart bell alarm glance peek trouble beneath", (MODULE,), "see the class"),
    Old("telling steered steering", (MODULE,), "printing, events, tables; control, commands"),
    Old("Ears", (CLASS,), "MessageDispatcher"),
    Old("Tender Tended Heart", (CLASS,), "LeaseKeeper, LeaseReport"),
    Old("tend judge free lose", CODE, "renew, check_stalled, reclaim, abandon", ("core/queue",)),
    Old("Bell Remote", (CLASS,), "Wakeup, WakeupBackend"),
    Old("ring deafen", CODE, "notify, wait", ("core/work", "core/queue")),
    Old("Alarm", (CLASS,), "DueTimer, StatementTimeouts"),
    Old("Glance Glances", (CLASS,), "JobSummary, JobPage"),
    Old("glance glances", CODE, "search, ValuePreview"),
    Old("Peek", (CLASS,), "ValuePreview"),
    Old("peek", CODE, "preview", ("core/cache",)),
    Old("Trouble", (CLASS,), "OutageTracker, ConnectFailure"),
    Old("resting well been_well", CODE, "cooling_down, succeeded, was_up"),
    Old("Teller", (CLASS,), "JobEvents"),
    Old("working slots ending link", (MODULE,), "see the class", ("core/workflow",)),
    Old("Steered Steering", (CLASS,), "control, commands"),
    Old("Working Slots", (CLASS,), "WorkerThreads", ("core",)),
    Old("After Link Turn", (CLASS,), "Outcome, Transactions, ConnectionManager"),
    Old("link interrupt keeper places", (MODULE,), "see the class", ("core/redis",)),
    Old("Held", (CLASS,), "defer_sigint, ActiveJob, HeldTransaction"),
    Old("post life", (MODULE,), "consumers, heartbeat", ("cli",)),
    Old("Post AgentPost Life", (CLASS,), "QueueConsumer, AgentConsumer, HeartbeatPipe"),
    Old("Place", (CLASS,), "Slot", ("cli",)),
    Old("bury judge hear", CODE, "reap, check_liveness, read", ("cli",)),
    Old("Taken Seen", (CLASS,), "ClaimedJob, JobSnapshot"),
    Old("Wanted Found", (CLASS,), "LoadRequest, Lookup, ContainerOptions"),
    Old("State", (CLASS,), "LockState", ("core/cache",)),
    Old("opening making reaching looking", (MODULE,), "connection, run, exec", ("core/docker",)),
    Old("Opening Making Reaching Looking", (CLASS,), "connection, run, exec, inspect"),
    Old("Wire", (CLASS,), "AttachStream", ("core/docker",)),
    Old("wire", (MODULE,), "attach_stream", ("core/docker",)),
    Old("Changing Syncing Reading", (CLASS,), "staging, remotes, inspect", ("core/git",)),
    Old("changing syncing reading", (MODULE,), "staging, remotes, inspect", ("core/git",)),
    Old("picking others words", (MODULE,), "partial_commit, transport, arguments", ("core/git",)),
    Old("refusals guard", (MODULE,), "errors, hardening", ("core/git",)),
    Old("place shown", (MODULE,), "discovery, objects", ("core/git",)),
    Old("Going Settled Crowded", (CLASS,), "CallState, ResolvedOptions, PoolTimeout"),
    Old("Lost", (CLASS,), "TransportFailure", ("core/api",)),
    Old("clock", (MODULE,), "the deadline backend", ("core/api",)),
    Old("steps", (MODULE,), "sansio", ("core",)),
    Old("driving loading", (MODULE,), "sansio", ("core/cache",)),
    Old("drive", CODE, "run, arun"),
    Old("noun whole many shown held", (MODULE,), "see the class", ("magics",)),
    Old("Noun Said Whole", (CLASS,), "Magic, Message, DetailView", ("magics",)),
    Old("look decide drawn", (MODULE,), "snapshot, approvals, indicators", ("panels",)),
    Old("Look Looker QueueLook Deed", (CLASS,), "Snapshot, Poller, QueueSnapshot, BulkAction"),
    Old("said told meant wanted", CODE, "message, expected, requested"),
    Old("found here there", CODE, "result, or the noun"),
)


class Use(NamedTuple):
    """A name where it is given to something."""

    file: str
    line: int
    kind: str
    name: str


def uses():
    """Yield each name that the package gives to a module, a class, a function or an attribute."""
    for path in sorted(SOURCE.rglob("*.py")):
        file = path.relative_to(SOURCE)
        if file.parts[0] == "tutorials":  # the notebooks, which the wheel brings
            continue
        for part in file.with_suffix("").parts:
            yield Use(file.as_posix(), 1, MODULE, part)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield from (Use(file.as_posix(), *each) for each in named(node))


def named(node):
    """Yield line, kind and name of what a node of the syntax tree gives a name to."""
    match node:
        case ast.ClassDef(name=name):
            yield node.lineno, CLASS, name
            for each in node.body:
                for target in targets(each):
                    yield each.lineno, ATTRIBUTE, target
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield node.lineno, FUNCTION, name
        case ast.Attribute(attr=name, ctx=ast.Store()):
            yield node.lineno, ATTRIBUTE, name


def targets(node):
    """Return the names that a statement of a class's body assigns."""
    match node:
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Assign(targets=found):
            return [each.id for each in found if isinstance(each, ast.Name)]
    return []


def refused(use):
    """Return the successor of an old name, or None if the name may be used."""
    name = use.name.lstrip("_")
    for old in OLD:
        inside = any(use.file.startswith(folder) for folder in old.within)
        if name in old.names.split() and use.kind in old.kinds and inside:
            return old.now
    return None


@pytest.fixture(scope="module")
def old_uses():
    return [(use, now) for use in uses() if (now := refused(use))]


def test_no_name_that_was_replaced_is_used(old_uses):
    found = [f"{use.file}:{use.line}: {use.kind} {use.name}: now {now}" for use, now in old_uses]
    assert found == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("class Ears: pass", [(CLASS, "Ears")]),
        ("class A:\n  said: str\n  wanted = 1", [(CLASS, "A"), (ATTRIBUTE, "said")]),
        ("def f(x):\n  x.told = 1", [(FUNCTION, "f"), (ATTRIBUTE, "told")]),
        ("async def ring(): pass", [(FUNCTION, "ring")]),
        ("x = y.told", []),
    ],
)
def test_a_name_is_found_where_it_is_given(code, found):
    given = [each[1:] for node in ast.walk(ast.parse(code)) for each in named(node)]
    assert given[: len(found)] == found
    assert bool(given) == bool(found)


def test_the_name_of_a_test_has_no_vague_words():
    vague = re.compile(r"def (test_\w*?(?:_of_ours|_ours|any_more|so_many|whoever)(?:_\w*|))\(")
    folder = Path(__file__).parents[1]
    names = [name for path in folder.rglob("test_*.py") for name in vague.findall(path.read_text())]
    assert names == []
