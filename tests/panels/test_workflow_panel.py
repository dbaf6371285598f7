"""The workflow panel over a real database; what the browser adds is tested there."""

from __future__ import annotations

import queue
import tempfile
import threading
import time
from pathlib import Path

import pytest

import agentnb
from agentnb.core.errors import NotFoundError
from agentnb.core.workflow import Task
from agentnb.panels.workflow.view import EMPTY, WorkflowPanel
from tests.waiting import refresh, until


@pytest.fixture(scope="module")
def server():
    """Keep one embedded server for all of these tests."""
    # Not under pytest's folder, whose path is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="agentnb-workflow-", dir="/tmp") as folder:
        home = Path(folder) / "home"
        with agentnb.connect(home=home) as keeper:
            keeper.redis.ping()
            yield home
        for _ in range(200):  # the server leaves a moment after the last of its users
            if not (home / "redis" / "running").exists():
                break
            time.sleep(0.05)


@pytest.fixture
def hub(server, tmp_path):
    with agentnb.connect(home=server, database_url=f"sqlite:///{tmp_path / 'a.db'}") as hub:
        yield hub


@pytest.fixture
def workflows(hub):
    made = hub.workflows
    made.agent("plan")(lambda task: {"planned": task.name})
    made.agent("scaffold", capabilities=["files"], attempts=1)(scaffold)
    return made


def scaffold(task, ctx):
    ctx.progress(0.5, "half <b>done</b>")
    ctx.log("reads <i>")
    if task.data == "fail":
        raise ValueError("<img src=x>")
    return task.data


@pytest.fixture
def view(hub):
    made = []

    def open_view(**options):
        made.append(WorkflowPanel(hub, every=None, **options))
        made[-1].panel.refresh()
        until(lambda: made[-1].panel.state != "loading")
        assert made[-1].panel.state == "live"
        return made[-1]

    yield open_view
    for one in made:
        one.panel.close()


def refreshed(view):
    refresh(view.panel)
    return view


def cells(table, key=None):
    """Return the texts of a table's rows by a cell, or their first, with their columns' names."""
    state = table.state()
    names = [name for name, _ in state["cols"]]
    rows = [
        [cell["text"] if isinstance(cell, dict) else cell for cell in row]
        for _, row in state["rows"]
    ]
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return {row[key or names[0]]: row for row in found}


def click(button):
    button.click()


def said(view):
    return view.panel._bar.widget.message.get("text", "")


def tasks():
    return [
        Task("plan"),
        Task("api", agent="scaffold", needs=["plan"], data={"name": "a"}),
        Task("release", agent="scaffold", needs=["api"], approval=True),
    ]


def test_an_empty_panel_says_what_to_type(view):
    empty = view()
    assert empty.workflows.static_text() == EMPTY
    assert all(getattr(part, "widget", part).layout.display == "none" for part in empty.body)


def test_the_newest_that_has_not_ended_is_shown_with_its_graph(workflows, view):
    first = workflows.create("first", tasks())
    panel = view()
    assert panel.graph.widget.html.count('data-pick="') == 3
    assert "<strong>first</strong>" in panel.about.value
    assert cells(panel.tasks)["api"]["state"] == "◌ blocked"
    assert cells(panel.workflows, "id")[first.id]["tasks"] == "3"
    (waits,) = panel.notice.lines
    assert waits.startswith("first waits: no worker serves agent plan on ")
    workflows.create("second", tasks())
    assert "<strong>second</strong>" in refreshed(panel).about.value
    assert cells(panel.agents)["scaffold"]["capabilities"] == "files"
    assert cells(panel.agents)["scaffold"]["state"] == "no worker"


def test_of_many_workflows_it_says_that_it_lists_the_newest(workflows, view):
    workflows.create("w0", [Task("t", agent="plan")])
    panel = view()
    assert panel.workflows.state()["note"] == ""
    for number in range(1, 51):
        workflows.create(f"w{number}", [Task("t", agent="plan")])
    assert refreshed(panel).workflows.state()["note"] == "the newest 50"


def test_a_workflow_that_is_clicked_stays(workflows, view):
    first = workflows.create("first", tasks())
    panel = view()
    panel.workflows.on_select(first.id)
    workflows.create("second", tasks())
    assert "<strong>first</strong>" in refreshed(panel).about.value
    panel.workflows.on_select(first.id)
    assert "<strong>second</strong>" in refreshed(panel).about.value


def test_it_can_begin_with_one_that_is_named(workflows, view):
    workflows.create("first", tasks())
    workflows.create("second", tasks())
    assert "<strong>first</strong>" in view(workflow="first").about.value
    with pytest.raises(NotFoundError):
        view(workflow="third")


def test_states_move_and_an_approval_is_one_click(workflows, view):
    workflow = workflows.create("app", tasks())
    panel = view()
    assert panel.approvals.approve.layout.display == "none"
    workflows.work()
    until(lambda: workflow.task("release").state == "approval")
    refreshed(panel)
    assert cells(panel.tasks)["api"]["outcome"] == '{"name": "a"}'
    assert panel.approvals.approve.description == "Approve release"
    assert "waits for an approval" in panel.notice.lines[0]
    click(panel.approvals.approve)
    assert said(panel) == "release is approved"
    until(lambda: workflow.refresh().state == "completed")
    refreshed(panel)
    assert "✓ completed" in panel.about.value
    assert panel.approvals.approve.layout.display == "none"
    assert panel.approvals.cancel.first.disabled
    assert panel.notice.lines == []
    assert "TASK_COMPLETED" in {row["event"] for row in cells(panel.events, "id").values()}


def test_a_rejection_asks_first_and_tells_why(workflows, view):
    workflow = workflows.create(
        "app", [Task("plan", approval=True), Task("api", agent="scaffold", needs=["plan"])]
    )
    panel = view()
    panel.approvals.reason.value = "not today"
    click(panel.approvals.reject.first)
    assert panel.approvals.reject.second.description == "Reject plan"
    assert workflow.task("plan").state == "approval"
    click(panel.approvals.reject.second)
    assert said(panel) == "plan is rejected"
    assert "not today" in workflow.task("plan").error
    assert workflow.task("api").state == "skipped"
    assert panel.approvals.reason.value == ""


def test_of_several_that_wait_the_picked_one_is_approved(workflows, view):
    both = [Task("one", agent="plan", approval=True), Task("two", agent="plan", approval=True)]
    workflow = workflows.create("app", both)
    panel = view()
    assert panel.approvals.approve.disabled
    panel.graph.on_pick("two")
    assert refreshed(panel).approvals.approve.description == "Approve two"
    click(panel.approvals.approve)
    assert [task.state for task in workflow.tasks] == ["approval", "waiting"]


def test_what_failed_is_shown_whole_and_tried_again(workflows, view):
    workflow = workflows.create("app", [Task("api", agent="scaffold", data="fail")])
    workflows.work()
    until(lambda: workflow.refresh().state == "failed")
    panel = view()
    panel.graph.on_pick("api")
    refreshed(panel)
    assert "&lt;img src=x&gt;" in panel.detail.error.widget.value
    assert "<img" not in panel.detail.error.widget.value + panel.graph.widget.html
    assert "reads &lt;i&gt;" in panel.detail.log.widget.value
    assert "attempt 1 of 1" in panel.detail.about.value
    assert "stroke-width:2.5" in panel.graph.widget.html
    workflows.agent("scaffold")(lambda _: "mended")
    click(panel.approvals.retry)
    assert said(panel) == "api runs again"
    until(lambda: workflow.refresh().state == "completed")
    panel.tasks.on_select("api")  # again: no longer picked
    assert refreshed(panel).detail.widget.layout.display == "none"


def test_a_task_whose_result_was_not_kept_says_so(workflows, view):
    workflows.agent("scaffold")(lambda _: threading.Lock())
    workflow = workflows.create("app", [Task("api", agent="scaffold")])
    workflows.work()
    until(lambda: workflow.refresh().state == "completed")
    panel = view(workflow=workflow.id)
    row = cells(panel.tasks)["api"]
    assert row["state"] == "✓ done, not kept"
    assert any("value is of type lock" in str(cell) for cell in row.values())
    panel.tasks.on_select("api")
    assert "done, not kept" in refreshed(panel).detail.about.value
    assert "&lt;unlocked" in panel.detail.result.widget.value


def test_cancel_asks_first_and_means_the_one_that_was_asked_about(workflows, view):
    first = workflows.create("first", tasks())
    panel = view()
    click(panel.approvals.cancel.first)
    second = workflows.create("second", tasks())
    refreshed(panel)
    click(panel.approvals.cancel.second)
    assert said(panel) == "first is cancelled"
    assert (first.refresh().state, second.refresh().state) == ("cancelled", "active")


def test_what_goes_wrong_is_said(workflows, view):
    workflow = workflows.create("app", [Task("plan", approval=True)])
    panel = view()
    workflow.approve("plan")
    click(panel.approvals.approve)
    assert said(panel)
    assert panel.panel._bar.widget.message["error"]


def test_progress_is_seen_while_a_task_runs(workflows, view):
    go = threading.Event()

    @workflows.agent("slow")
    def slow(_, ctx):
        ctx.progress(0.25, "a quarter <i>")
        go.wait(120)

    workflow = workflows.create("app", [Task("slow")])
    workflows.work()
    try:
        until(lambda: workflow.task("slow").progress == 0.25)
        panel = view()
        assert cells(panel.tasks)["slow"]["progress"] == "25 %"
        assert "25%" in panel.graph.widget.html
        assert "a quarter &lt;i&gt;" in panel.graph.widget.html
        assert cells(panel.agents)["slow"]["state"] == "working"
    finally:
        go.set()
    until(lambda: workflow.refresh().state == "completed")


def test_a_saved_notebook_has_the_graph_and_the_tables(workflows, view):
    workflows.create("app", tasks())
    bundle, _ = view().panel._repr_mimebundle_()
    assert "<svg" in bundle["text/html"]
    assert "release" in bundle["text/html"]
    assert "1 waiting, 2 blocked" in bundle["text/plain"]


def test_two_hundred_tasks_are_looked_at_in_a_bounded_lot(workflows, view):
    many = [Task(f"t{n}", agent="plan", needs=[f"t{n // 2}"] if n else []) for n in range(200)]
    workflows.create("many", many)
    panel = view()
    assert panel.graph.widget.html.count('data-pick="') == 200
    assert len(panel.graph.widget.html) < 400_000


def test_a_limit_of_an_agent_is_one_line(hub, workflows):
    workflows.limit("plan", 60, per=60, concurrency=3)
    workflow = workflows.create("x", [Task("plan")])
    view = WorkflowPanel(hub, workflow=workflow.id, every=None)
    deadline = time.monotonic() + 30
    while "Limited: agent plan: 60 per 60 s, concurrency 3" not in view.notice.lines:
        assert time.monotonic() < deadline
        view.panel.refresh()
        time.sleep(0.05)


def test_a_workflow_is_paused_and_resumed_by_its_button(workflows, view):
    made = workflows.create("x", tasks())
    panel = view()
    assert (panel.approvals.pause.description, panel.approvals.pause.disabled) == ("Pause", False)
    click(panel.approvals.pause)
    assert made.refresh().standing == "paused"
    assert said(panel).startswith("x is paused: what runs goes on")
    refreshed(panel)
    assert "‖ paused" in panel.about.value
    assert cells(panel.workflows, "id")[made.id]["state"] == "‖ paused"
    assert "it is paused" in panel.notice.lines[0]
    assert panel.approvals.pause.description == "Resume"
    click(panel.approvals.pause)
    assert made.refresh().paused is None
    made.cancel()
    assert refreshed(panel).approvals.pause.disabled


def test_the_panel_shows_the_deadline_and_cancels_what_is_late(workflows, view):
    made = workflows.create("x", tasks(), deadline=3600)
    panel = view(workflow=made.id)
    assert " · deadline " in panel.about.value
    workflows._transactions.run("update {workflow} set deadline = {now} - 1")
    assert "⊘ cancelled" in refreshed(panel).about.value
    assert " · deadline " not in panel.about.value


def test_the_stream_of_the_picked_task_grows_between_two_looks_at_everything(hub, workflows):
    going = queue.SimpleQueue()

    def write(_, ctx):
        for text in iter(going.get, None):
            ctx.write(text)

    workflows.agent("write")(write)
    workflows.create("app", [Task("write"), Task("plan", needs=["write"])])
    workflows.work()
    going.put("<b>one</b> ")
    going.put("the key is sk-ant-REDACTED0123456789abcdefghijklmnop ")
    until(lambda: len(workflows.list()[0].streams("write")))
    view = WorkflowPanel(hub, every=3600.0)
    try:
        view.panel.refresh()
        until(lambda: view.panel.state == "live")
        view._pick("write")
        view._whole_at = float("-inf")
        refreshed(view)
        shown = view.detail.stream.widget
        assert "&lt;b&gt;one&lt;/b&gt; the key is" in shown.value
        assert "REDACTED0123" not in shown.value
        going.put("two ")
        until(lambda: "two " in shown.value)  # an hour before the next look at everything
        going.put("x" * 5000 + " three")
        until(lambda: " three" in shown.value)
        assert "… x" in shown.value
        assert len(shown.value) < 3000
        going.put(None)
        until(lambda: workflows.list()[0].state == "completed")
        view._whole_at = float("-inf")
        refreshed(view)
        assert " three" in shown.value
        assert view.panel._refresher._every == 3600.0
        view._pick("plan")
        view._whole_at = float("-inf")
        refreshed(view)
        assert shown.value == ""
    finally:
        going.put(None)
        view.panel.close()
