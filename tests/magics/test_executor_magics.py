"""--executor of %queue work and %workflow work: cells that the home keeps run in processes."""

from __future__ import annotations

import os

import pytest

from agentnb.core.errors import UsageError


def test_a_cell_is_a_processor_in_processes(run, shell):
    hub = shell.user_ns["hub"]
    run("%%queue task pids\nimport os\nos.getpid()")
    worker = run("%queue work pids --executor processes --concurrency 1")
    assert "1 process" in repr(worker)
    (row,) = run("%queue workers pids")
    assert row.executor == "1 process"
    assert hub.queue("pids").add(1).result(60) != os.getpid()
    run("%queue stop pids")


def test_a_cell_is_an_agent_in_processes(run, shell):
    hub = shell.user_ns["hub"]
    run("%%agent pids\nimport os\nos.getpid()")
    worker = run("%workflow work pids --executor processes --concurrency 1")
    assert "1 by 1 process" in repr(worker)
    workflow = hub.workflows.create("x", [{"name": "pids"}])
    assert workflow.wait(timeout=60).result["pids"] != os.getpid()
    run("%workflow stop")


def test_a_cell_that_needs_the_notebook_is_refused_there(run, shown):
    run("rate = 2")
    run("%%agent bound\nrate")
    assert "which no other process" in shown("%workflow work bound --executor processes")


@pytest.mark.parametrize("line", ["%queue work mail", "%workflow work bound"])
def test_a_word_that_is_no_executor_is_refused_with_the_nearest(run, shell, line):
    run("%%queue task mail\njob.data")
    run("%%agent bound\n1")
    with pytest.raises(UsageError) as caught:
        run(f"{line} --executor proceses")
    assert caught.value.hint == "did you mean processes?"
    assert shell.user_ns["hub"].workflows.worker is None
