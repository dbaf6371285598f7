"""What the help says of Python is so."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

import pytest

import agentnb
from agentnb.core.docker import DockerManager
from agentnb.core.queue import Job
from agentnb.core.workflow import Workflow

NOUNS = ("api", "docker", "events", "files", "git", "queue", "trace", "workflow", "ws")
PARTS = {"queue": "x", "api": "http://127.0.0.1:1", "websocket": "ws://127.0.0.1:1"}
# `hub.files.move(A, B)`, `hub.api(URL).get(PATH)`, `job.retry()`; and `.stashes()` of the same.
MEMBER = re.compile(
    r"(hub\.workflows\.get\(WORKFLOW\)|hub\.\w+\([^)]*\)|hub\.\w+|job)?"
    r"\.(\w+)(?:\(([^)]*)\))?(?! of what it returns)"
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with agentnb.connect(home=tmp_path_factory.mktemp("home")) as hub:
        yield hub


def kind_of(owner, hub):
    if owner == "job":
        return Job
    if owner == "hub.workflows.get(WORKFLOW)":
        return Workflow
    name = re.match(r"hub\.(\w+)", owner)[1]
    if name == "docker":
        return DockerManager  # an engine need not run
    found = getattr(hub, name)
    return type(found(PARTS[name]) if name in PARTS else found)


@pytest.mark.parametrize("noun", NOUNS)
def test_every_verb_has_its_twin_in_python_which_takes_what_is_said(noun, hub):
    for verb in import_module(f"agentnb.magics.{noun}.grammar").GRAMMAR.verbs.values():
        if verb.name == "help" or verb.twin == f'hub.panel("{noun}")':
            continue
        found = MEMBER.findall(verb.twin)
        assert found, f"%{noun} {verb.name} has no twin"
        kind = None
        for owner, name, given in found:
            kind = kind_of(owner, hub) if owner else kind
            takes = inspect.signature(getattr(kind, name)).parameters if given else {}
            free = any(one.kind is one.VAR_KEYWORD for one in takes.values())
            assert free or {*re.findall(r"(\w+)=", given)} <= {*takes}, verb.twin
