"""The guide to the architecture names what there is, and what really runs."""

from __future__ import annotations

import itertools
import pkgutil
import re
import sys
import threading
from pathlib import Path

import pytest

import agentnb

GUIDE = Path(__file__).parents[2] / "notebooks" / "guide" / "architecture.md"
NAME = re.compile(r"`((?:core|magics|panels|cli)(?:\.\w+)+)`")


def names(text):
    return NAME.findall(text)


def trip(heading):
    """Return the functions and classes that a traced example names, in order."""
    _, _, rest = GUIDE.read_text().partition(f"### {heading}")
    found = names(re.split(r"^##", rest, maxsplit=1, flags=re.MULTILINE)[0])
    assert found, f"no example {heading}"
    return found


class Walk:
    """The package's functions that are called while it is open, in order, by all threads."""

    def __init__(self):
        self.package = f"{Path(agentnb.__file__).parent}/"
        self.called = {}

    def see(self, frame, event, _):
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(self.package):
            module = file.removeprefix(self.package).removesuffix(".py").replace("/", ".")
            name = f"{module}.{frame.f_code.co_qualname}".removesuffix(".__init__")
            self.called.setdefault(name, len(self.called))

    def __enter__(self):
        threading.setprofile(self.see)
        sys.setprofile(self.see)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)
        threading.setprofile(None)

    def order_of(self, wanted):
        """Return where each was called first; a class counts as called with one of its methods."""
        found = {}
        for name, part in itertools.product(wanted, self.called):
            if part == name or part.startswith(f"{name}."):
                found.setdefault(name, self.called[part])
        assert [name for name in wanted if name not in found] == []
        return [found[name] for name in wanted]


def test_every_module_class_and_function_that_the_guide_names_is_there():
    found = names(GUIDE.read_text())
    assert len(found) > 100
    for name in found:
        pkgutil.resolve_name(f"agentnb.{name}")


def test_the_guide_has_a_row_for_every_service():
    text = GUIDE.read_text()
    core = Path(agentnb.__file__).parent / "core"
    shared = {
        "check",
        "codec",
        "doctor",
        "errors",
        "export",
        "grid",
        "llm",
        "mcp",
        "metrics",
        "overview",
        "plot",
        "project",
        "resilience",
        "services",
        "settings",
        "tools",
        "tape",
        "trace",
        "work",
    }
    assert all(f"\n| `core.{name}` |" in text for name in shared)
    services = {path.parent.name for path in core.glob("*/__init__.py")} - shared
    assert services == {*re.findall(r"\| `agentnb/core/(\w+)/` \|", text)}


def test_a_query_goes_where_the_guide_says(run):
    run("%db select 1")
    with Walk() as walk:
        run("%db select 1")
    order = walk.order_of(trip("`%db select 1`"))
    assert order == sorted(order)


def test_a_file_goes_where_the_guide_says(run):
    run('hub.files.write_file("a.txt", "x")')
    with Walk() as walk:
        run('hub.files.write_file("b.txt", "x")')
    order = walk.order_of(trip('`hub.files.write_file("b.txt", "x")`'))
    assert order == sorted(order)


@pytest.mark.usefixtures("project")
def test_a_job_goes_where_the_guide_says_and_comes_back(redis_home):
    with agentnb.connect(home=redis_home) as hub, Walk() as walk:
        worker = hub.queue("q").work(lambda job: job.data, concurrency=1)
        assert hub.queue("q").add({"a": 1}).result(20) == {"a": 1}
        worker.stop()
    walk.order_of(trip('`hub.queue("q").add({"a": 1})`'))
