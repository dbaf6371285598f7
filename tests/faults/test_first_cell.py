"""Ctrl-C in the first cell that uses a service, in a real kernel: the cell works when run again."""

from __future__ import annotations

import random
import time

import pytest

BEGIN = """
import time
import agentnb
hub = agentnb.connect(home={home!r}, workspace={workspace!r})
"""
CELLS = {
    "db": "assert hub.db.query('select 1').scalar() == 1",
    "queue": "assert hub.queue('q').add(1, key='once').id",
    "workflows": """
hub.workflows.agent('a')(lambda task, ctx: 1)
assert hub.workflows.create('w', [{'name': 't', 'agent': 'a'}]).id
""",
    "git": "assert [row.subject for row in hub.repo('r').log()] == ['first']",
}
ROUNDS = 2


@pytest.fixture
def begin(redis_home, tmp_path):
    """Return the cell that each kernel begins with."""
    from agentnb.core.git import GitManager

    git = GitManager(tmp_path / "r")
    git.initialize()
    (git.path / "a.py").write_text("a = 1\n")
    git.commit("first", paths=["a.py"])
    return BEGIN.format(home=str(redis_home), workspace=str(tmp_path))


@pytest.fixture
def kernel(tmp_path):
    module = pytest.importorskip("jupyter_client.manager")
    manager, client = module.start_new_kernel(
        kernel_name="python3", cwd=str(tmp_path), extra_arguments=["--HistoryManager.enabled=False"]
    )
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, code, *, once_busy=lambda: None):
    """Run a cell, and return the name of what it raised, or an empty text."""
    asked = client.execute(code, stop_on_error=False)  # else it ends what comes soon after it, too
    busy = False
    while not busy:
        message = client.get_iopub_msg(timeout=60)
        of_this = message["parent_header"].get("msg_id") == asked
        busy = of_this and message["content"].get("execution_state") == "busy"
    once_busy()
    reply = client.get_shell_msg(timeout=60)
    while reply["parent_header"].get("msg_id") != asked:  # of what a new kernel was asked before
        reply = client.get_shell_msg(timeout=60)
    if reply["content"]["status"] == "ok":
        return ""
    return f"{reply['content'].get('ename')}: {reply['content'].get('evalue')}".rstrip(": ")


@pytest.mark.parametrize("services", [("db", "queue"), ("workflows", "git")])
def test_a_first_cell_that_is_interrupted_works_when_run_again(services, kernel, begin):
    manager, client = kernel
    moments = random.Random(" ".join(services))
    for number in range(ROUNDS):
        if number:
            manager.restart_kernel(now=True)
            client.wait_for_ready(timeout=60)
        assert run(client, begin) == ""
        for name in services:
            moment = moments.uniform(0.05, 0.3)

            def interrupt(moment=moment):
                time.sleep(moment)
                manager.interrupt_kernel()

            # One that comes while modules are imported is held back: the cell goes on a while.
            found = run(client, f"{CELLS[name]}\ntime.sleep(10)", once_busy=interrupt)
            assert found == "KeyboardInterrupt", (name, moment)
            assert [run(client, CELLS[name]) for _ in range(3)] == [""] * 3, (name, moment)
        assert run(client, "hub.close()") == ""
