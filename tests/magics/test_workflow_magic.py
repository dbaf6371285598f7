"""%workflow, %%workflow and %%agent on a real database and a real server."""

from __future__ import annotations

import re
import threading

import msgspec
import pydantic
import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import NotFoundError, RejectedError, UsageError
from agentnb.core.modules import load_module, module_path
from agentnb.core.workflow import TaskFailed
from agentnb.core.workflow.agents import marked

AGENTS = (
    "%%agent plan\nctx.progress(0.5, 'half')\n{'parts': 2}",
    """%%agent scaffold --attempts 1 --timeout 30 --capabilities files,code
if task.data.get('bad'): raise ValueError('no such app')
task.data['name'].upper()""",
    "%%agent publish\n'done'",
)
BODY = """
plan
api: scaffold {"name": "my-app"} <- plan
web: scaffold {"name": "web"} <- plan
release: publish <- api, web
"""


@pytest.fixture
def hub(shell):
    return shell.user_ns["hub"]


@pytest.fixture
def agents(run):
    return [run(cell) for cell in AGENTS]


def refused(run, source):
    with pytest.raises((UsageError, NotFoundError)) as caught:
        run(source)
    return caught.value


# Making


def test_a_cell_makes_a_workflow_and_shows_its_graph(run, hub, agents):  # noqa: ARG001 - registered
    view = run(f'%%workflow new-app --max-parallel 2 --data {{"team": 7}}{BODY}')
    assert [(task.name, task.agent, task.needs) for task in view] == [
        ("plan", "plan", ()),
        ("api", "scaffold", ("plan",)),
        ("web", "scaffold", ("plan",)),
        ("release", "publish", ("api", "web")),
    ]
    workflow = hub.workflows.get("new-app")
    assert (workflow.max_parallel, workflow.data, workflow.state) == (2, {"team": 7}, "active")
    html = view._repr_html_()
    assert html.count('data-pick="') == 4
    assert "no worker serves agent plan" in html
    assert re.search(r"plan +○ waiting", repr(view))


def test_the_data_of_a_workflow_may_be_a_name_of_the_notebook(run, hub, agents, shell):  # noqa: ARG001 - registered
    shell.user_ns["about"] = {"app": "it's a greeter", "parts": [1, 2]}
    run("%%workflow new-app --data :about\nplan")
    assert hub.workflows.get("new-app").data == {"app": "it's a greeter", "parts": [1, 2]}


def test_what_a_name_is_bound_to_has_to_be_json(run, shell, hub, agents):  # noqa: ARG001 - registered
    around = []
    around.append(around)
    for value in (
        float("nan"),
        {"x" * 1000: float("inf")},
        {(1, 2): 3},
        object(),
        around,
        "\ud800",
        "x" * 2**21,
    ):
        shell.user_ns["it"] = value
        for cell in ("%%workflow a\n\nplan: :it", "%%workflow a --data :it\nplan"):
            error = refused(run, cell)
            assert "value" in error.message
            assert error.hint
            assert len(error.message) < 200
            assert error.message.startswith("line 2: task plan:") == ("\n\n" in cell)
    assert hub.workflows.list() == []
    for text in ("hello", "5"):
        shell.user_ns["it"] = text
        run(f"%%workflow {text} --data :it\nplan: :it")
        made = hub.workflows.get(text)
        assert (made.data, made.task("plan").data) == (text, text)


def test_the_same_key_gives_the_same_workflow(run, hub, agents):  # noqa: ARG001 - registered
    one = run("%%workflow a --key order-7\nplan")
    other = run("%%workflow a --key order-7\nplan")
    assert one.id == other.id
    assert len(hub.workflows.list()) == 1


def test_marks_and_data_reach_the_tasks(run, shell, agents):  # noqa: ARG001 - registered
    shell.user_ns["cfg"] = {"name": "bound"}
    view = run("%%workflow a\nplan: !approve !priority=3 !attempts=6\napi: scaffold :cfg !delay=60")
    plan, api = view
    assert (plan.state, plan.approval, plan.priority, plan.attempts) == ("approval", True, 3, 6)
    assert (api.state, api.data) == ("delayed", {"name": "bound"})


def test_nothing_is_made_of_a_body_that_is_wrong(run, hub, agents):  # noqa: ARG001 - registered
    for body, message, hint in (
        (
            "plan\napi: scafold <- plan",
            "line 2: task api: no agent 'scafold' is registered",
            "did you mean scaffold?",
        ),
        ("plan\n\napi: scaffold <- paln", "line 3: task api needs 'paln'", "did you mean plan?"),
        ("b: plan <- q", "line 1: task b needs 'q'", "tasks: b"),
        ("a: plan\n# so\nb: plan\na: plan", "line 4: two tasks are called a", "a-2"),
        ("a: plan <- a", "line 1: these tasks wait for each other: a needs a", "a from a"),
        (
            "s: plan\na: plan <- c, s\nb: plan <- a\nc: plan <- b",
            "line 2: these tasks wait for each other: a needs c needs b needs a",
            "such as c from a",
        ),
        ("api: scaffold {x}", "line 1: task api: malformed JSON", "double quotes"),
        (f"plan\n{'x' * 300}", "line 2: a task cannot be called", "a name is a word"),
        ("# nothing", "the cell names no task", "api: scaffold"),
    ):
        error = refused(run, f"%%workflow a\n{body}")
        assert error.message.startswith(message)
        assert hint in error.hint
    assert hub.workflows.list() == []


def test_the_line_of_a_cell_says_what_is_wrong_with_it(run, agents):  # noqa: ARG001 - registered
    assert refused(run, "%%workflow a --kye x\nplan").hint == "did you mean --key?"
    assert "%%workflow takes NAME" in refused(run, "%%workflow\nplan").message
    assert refused(run, "%%workflow run a\nplan").hint.startswith("in a cell of its own")
    assert "whole" not in refused(run, "%%workflow a --data {x}\nplan").message
    assert "--data" in refused(run, "%%workflow a --data x\nplan").message


# Looking


def test_a_bare_magic_says_what_to_type_next(run, shown, agents):  # noqa: ARG001 - registered
    assert "%%workflow NAME" in shown("%workflow")
    run("%%workflow a\nplan")
    text = shown("%workflow")
    assert re.search(r"a +▶ active +1 waiting", text)
    assert "no worker serves agent plan" in text


def test_lists_shows_and_tasks(run, agents):  # noqa: ARG001 - registered
    first, second = run("%%workflow a\nplan"), run(f"%%workflow b{BODY}")
    assert [row.id for row in run("%workflow list")] == [second.id, first.id]
    assert len(run("%workflow list -n 1")) == 1
    assert repr(run("%workflow list --state failed")) == "no failed workflow"
    assert run("%workflow show").id == second.id
    assert run(f"%workflow show {first.id}").name == "a"
    assert run("%workflow show a").id == first.id
    assert run("%workflow tasks b --state blocked").column("task") == ["api", "web", "release"]
    assert run("%workflow tasks b").column("outcome")[1] == "← plan"
    events = run("%workflow events b")
    assert "WORKFLOW_CREATED" in events.column("event")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", events.column("time")[0])


def test_a_workflow_of_the_notebook_is_as_good_as_its_id(run, shell, hub, agents):  # noqa: ARG001
    run("%%workflow a\nplan")
    shell.user_ns["w"] = hub.workflows.get("a")
    assert run("%workflow show :w").name == "a"


def test_an_unknown_workflow_is_refused_with_the_nearest(run, agents):  # noqa: ARG001 - registered
    assert refused(run, "%workflow show").message == "there is no workflow yet"
    run("%%workflow release\nplan")
    assert refused(run, "%workflow show relaese").hint == "did you mean release?"
    assert "verb" in refused(run, "%workflow shwo").message


def test_what_is_shown_is_escaped(run, agents):  # noqa: ARG001 - registered
    run("%%agent bad --attempts 1\nraise ValueError('<img src=x onerror=alert(1)>')")
    run('%%workflow "q & a" --quiet\nbad&all: bad "<b>"')
    html = run("%workflow show")._repr_html_()
    assert "q &amp; a" in html
    assert "bad&amp;all" in html
    assert "q & a" not in html + run("%workflow list")._repr_html_()


# Working


def test_run_works_until_all_is_done_and_returns_the_result(run, hub, agents):  # noqa: ARG001
    view = run(f"%%workflow new-app --run{BODY}")
    assert view.state == "completed"
    assert view.result == {"plan": {"parts": 2}, "api": "MY-APP", "web": "WEB", "release": "done"}
    assert view["api"].state == "completed"
    assert hub.workflows.worker is None
    assert run("%workflow tasks").column("outcome")[1] == "MY-APP"
    assert "completed" in run("%workflow events").column("event")[-1].lower()
    assert re.search(r"\bran [\d.]+ m?s\b", str(run("%workflow events").column("details")))


def test_in_a_terminal_it_prints_what_changes(shown, agents):  # noqa: ARG001 - registered
    text = shown(f"%%workflow a --run{BODY}")
    assert "a: plan ✓ completed" in text
    assert "a: release ✓ completed" in text


def test_run_fails_where_the_workflow_does_and_retry_takes_it_up_again(run, shown, hub, agents):  # noqa: ARG001
    text = shown('%%workflow a --run\napi: scaffold {"bad": 1}\nrelease: publish <- api\nplan')
    assert "no such app" in text
    workflow = hub.workflows.get("a")
    assert {t.name: t.state for t in workflow.tasks} == {
        "api": "failed",
        "release": "skipped",
        "plan": "completed",
    }
    assert hub.workflows.worker is None
    run("%%agent scaffold\n'mended'")
    said = run("%workflow retry a")
    assert "what failed runs again" in said
    assert f"%workflow run {workflow.id}" in said
    assert run("%workflow run a").result["api"] == "mended"


def test_run_stops_where_a_person_is_asked_and_goes_on_once_approved(run, hub, until, agents):  # noqa: ARG001
    view = run("%%workflow a --run\nplan\nrelease: publish <- plan !approve")
    assert (view.state, view["plan"].state, view["release"].state) == (
        "active",
        "completed",
        "approval",
    )
    assert f"%workflow approve {view.id} release" in repr(view)
    assert "%workflow approve" in run("%workflow")._repr_html_()
    assert run("%workflow approve a --by ada") == "a: release approved"
    until(lambda: hub.workflows.get("a").state == "completed")
    assert hub.workflows.get("a").task("release").approved_by == "ada"
    run("%workflow stop")
    assert hub.workflows.worker is None


def test_approve_wants_a_name_where_there_are_several(run, hub, agents):  # noqa: ARG001
    run("%%workflow a\nplan: !approve\nrelease: publish !approve")
    error = refused(run, "%workflow approve a")
    assert error.message == "2 tasks of a wait for approval"
    assert error.hint == "name them: plan, release"
    run("%workflow approve a plan release --by ada")
    assert refused(run, "%workflow approve a").message == "no task of a waits for approval"
    assert {t.state for t in hub.workflows.get("a").tasks} == {"waiting"}


def test_a_rejected_task_takes_what_needs_it_with_it(run, hub, agents):  # noqa: ARG001
    run("%%workflow a\nplan: !approve\nrelease: publish <- plan")
    assert "rejected" in run('%workflow reject a plan --reason "not today"')
    plan, release = hub.workflows.get("a").tasks
    assert release.state == "skipped"
    assert "not today" in plan.error


def test_cancel_ends_a_workflow(run, hub, agents):  # noqa: ARG001
    view = run(f"%%workflow a{BODY}")
    assert f"%workflow retry {view.id}" in run("%workflow cancel a")
    assert hub.workflows.get("a").state == "cancelled"


def test_work_is_for_any_workflow_and_stop_ends_it(run, hub, until, agents):  # noqa: ARG001
    worker = run("worker = %workflow work -c 2\nworker")
    assert hub.workflows.worker is worker
    run(f"%%workflow a{BODY}")
    until(lambda: hub.workflows.get("a").state == "completed")
    assert "stopped" in run("%workflow stop")
    assert "no worker is running" in refused(run, "%workflow stop").message
    assert refused(run, "%workflow work scafold").hint == "did you mean scaffold?"


def test_watch_looks_until_it_has_ended_or_the_time_is_up(run, hub, agents):  # noqa: ARG001
    run("%%workflow a\nplan")
    assert run("%workflow watch a --timeout 0.1").state == "active"
    hub.workflows.work()
    assert run("%workflow watch a").state == "completed"


def test_quiet_shows_nothing(run, shown, agents):  # noqa: ARG001
    assert run(f"%%workflow a --run --quiet{BODY}") is None
    assert "completed" not in shown("%workflow show --quiet")


# Agents


def test_an_agents_cell_says_where_it_can_run(agents, run):
    assert agents[0].splitlines() == [
        "plan: run by this cell once there is a worker: %%workflow NAME --run, or %workflow work",
        "in a process of its own: agentnb worker --agents plan",
    ]
    run("factor = 3")
    text = run("%%agent times\nfactor * task.data")
    assert "in this kernel only, since a worker process does not have factor" in text


def test_an_agents_cell_is_kept_as_a_module_with_its_options(agents, project):  # noqa: ARG001
    kept = load_module(module_path(project / ".agentnb", "agent", "scaffold"))
    found = marked(kept)["scaffold"]
    assert (found.attempts, found.timeout, found.capabilities) == (1, 30.0, ("files", "code"))


def test_an_agent_sees_the_notebooks_names_and_runs_again_as_another(run, shell):
    shell.user_ns["factor"] = 3
    run("%%agent times\nfactor * task.data")
    assert run("%%workflow a --run\ntimes: times 7").result == {"times": 21}
    run("%%agent times\nawait __import__('asyncio').sleep(0)\n-task.data")
    assert run("%%workflow b --run\ntimes: times 7").result == {"times": -7}


def test_what_an_agent_prints_is_its_tasks_and_not_the_cells(run, shown, hub):
    run("%%agent talk\nprint('hello', task.name)\nprint('and bye', end='')")
    text = shown("%%workflow a --run\ntalk")
    assert "hello talk" not in text.split("outcome")[0]
    workflow = hub.workflows.get("a")
    assert workflow.task("talk").message == "and bye"
    assert workflow.logs("talk") == ["hello talk", "and bye"]
    assert "log\n  hello talk\n  and bye" in shown("%workflow show a talk")


def test_an_agent_that_prints_in_a_loop_keeps_its_last_lines(run, hub):
    run("%%agent talk\nfor n in range(3000): print('line', n)")
    run("%%workflow a --run\ntalk")
    logged = hub.workflows.get("a").logs("talk")
    assert logged == [f"line {n}" for n in range(2800, 3000)]


def test_a_task_is_shown_whole(run, agents):  # noqa: ARG001 - registered
    with pytest.raises(RejectedError):
        run('%%workflow a --run\napi: scaffold {"bad": "<b>"}')
    view = run("%workflow show a api")
    text = repr(view)
    assert re.search(r'data +{"bad": "<b>"}', text)
    assert "ValueError: no such app" in dict(view)["error"]
    # From the first line that is the user's.
    assert text.split("traceback\n")[1].lstrip().startswith("File")
    assert "raise ValueError" in text
    assert "<b>" not in view._repr_html_()
    assert refused(run, "%workflow show a apo").hint == "did you mean api?"


def test_an_agents_cell_that_is_none_leaves_the_one_before(run, agents):  # noqa: ARG001
    for cell, said in (("yield 1", "cannot yield"), ("x = ", "in line 2 of the cell: x =")):
        assert said in refused(run, f"%%agent plan\n{cell}").message
    assert refused(run, "%%agent plan\n# nothing").hint.startswith("under the line")
    assert "%%agent takes NAME" in refused(run, "%%agent\n1").message
    assert run("%%workflow a --run\nplan").result == {"plan": {"parts": 2}}


def test_a_task_that_runs_ends_with_the_cell_it_began_with_and_the_next_has_the_new_one(
    run, shell, hub
):
    shell.user_ns["began"] = began = threading.Event()
    shell.user_ns["go"] = go = threading.Event()
    run("%%agent plan\nbegan.set()\ngo.wait(30)\n'old'")
    hub.workflows.work(concurrency=1)
    run("%%workflow a\none: plan\ntwo: plan <- one")
    assert began.wait(20)
    run("%%agent plan\n'new'")
    assert "in line 2 of the cell" in refused(run, "%%agent plan\nthis is ( not Python").message
    go.set()
    assert hub.workflows.wait("a", 20).result == {"one": "old", "two": "new"}


def test_a_cell_that_ends_in_a_model_gives_plain_json_or_the_declared_type(run, shell, hub):
    class Size(pydantic.BaseModel):
        width: int

    shell.user_ns["Size"] = Size
    run("%%agent plan\nSize(width=2)")
    view = run("%%workflow a --run\nplan")
    assert view.result == hub.workflows.get("a").result == {"plan": {"width": 2}}
    assert "declare returns=" in repr(run("%workflow show a plan"))
    run("%%agent plan --returns Size\nSize(width=3)")
    run("%%workflow b --run\nplan")
    assert hub.workflows.get("b").result == {"plan": Size(width=3)}
    error = refused(run, "%%agent plan --returns Sise\n1")
    assert "there is no class 'Sise' for --returns" in error.message
    shell.user_ns["Lock"] = type(threading.Lock())
    error = refused(run, "%%agent plan --returns Lock\n1")
    assert "lock is not a type that a result can have" in error.message


def test_a_result_that_cannot_be_kept_shows_as_such_and_a_step_can_be_forgotten(run):
    run("%%agent open\nimport threading\nthreading.Lock()")
    view = run("%%workflow a --run\nopen")
    assert "✓ done, not kept" in repr(view)
    shown = repr(run("%workflow show a open"))
    assert "done, not kept: value is of type lock, which JSON has not" in shown
    assert "unlocked" in str(view.result["open"])
    run("%%agent open\nimport threading\nctx.step('get it', lambda: threading.Lock())")
    with pytest.raises(RejectedError, match="UnkeptResult"):
        run("%%workflow b --run\nopen")
    assert "has no step 'get'" in refused(run, "%workflow forget b open get").message
    assert "is called again" in str(run('%workflow forget b open "get it"'))
    run("%%agent open\nctx.step('get it', lambda: 'kept')")
    run("%workflow retry b")
    assert run("%workflow run b").result == {"open": "kept"}


def test_tasks_that_wait_are_checked_by_the_schema_that_their_agent_has_by_then(run, shell, hub):
    class Size(msgspec.Struct):
        width: int

    shell.user_ns["Size"] = Size
    run("%%agent plan\ntask.data")
    run('%%workflow a\ngood: plan {"width": 2}\nbad: plan {"width": "two"}')
    run("%%agent plan --schema Size\ntask.data.width + 1")
    with pytest.raises(RejectedError, match=r"bad: UsageError: .* Expected `int`, got `str`"):
        run("%workflow run a")
    found = hub.workflows.get("a")
    assert found.result == {"good": 3}
    assert found.task("bad").attempt == 1  # another would fail as well


def test_tasks_of_an_agent_that_is_gone_wait_and_say_for_whom(run, hub, project):
    run("%%agent plan\n1")
    run("%%workflow a\nplan")
    hub.workflows.registry.remove("plan")
    module_path(project / ".agentnb", "agent", "plan").unlink()
    view = run("%workflow run a --timeout 0.2")
    assert "no worker serves agent plan" in repr(view)
    error = refused(run, "%workflow work plan")
    assert "no agent plan here" in error.message
    assert "%%agent plan over a cell" in error.hint
    run("%%agent plan\n2")
    assert run("%workflow run a").result == {"plan": 2}


def test_an_agent_whose_module_cannot_be_kept_is_none(run, hub, project):
    long = "\u4efb\u52a1" * 20
    error = refused(run, f"%%agent {long}\n1")
    assert "too long for a file" in error.message
    assert hub.workflows.registry.registered() == []
    assert "is registered" in refused(run, f"%%workflow a\n{long}").message
    assert not list((project / ".agentnb" / "modules").iterdir())


def test_a_cell_that_is_given_another_name_takes_the_former_agent_back(
    run, hub, project, monkeypatch
):
    monkeypatch.setattr("agentnb.panels.base.registry.cell_id", lambda _shell: "one")
    run("%%agent plan\n1")
    path = module_path(project / ".agentnb", "agent", "plan")
    assert path.exists()
    assert "plan: no longer this cell" in run("%%agent planner\n1")
    assert hub.workflows.registry.registered() == ["planner"]
    assert not path.exists()
    monkeypatch.setattr("agentnb.panels.base.registry.cell_id", lambda _shell: "two")
    run("%%agent planner\n2")
    monkeypatch.setattr("agentnb.panels.base.registry.cell_id", lambda _shell: "one")
    # What another cell has made since is that one's.
    assert "any more" not in run("%%agent third\n1")
    assert sorted(hub.workflows.registry.registered()) == ["planner", "third"]


def test_prune_wants_a_yes_and_says_how_many(run, until, agents):  # noqa: ARG001 - registered
    run(f"%%workflow a{BODY}")
    run("%workflow cancel a")
    assert "%workflow prune --days 0 --yes" in refused(run, "%workflow prune --days 0").hint
    assert "0 workflows" in run("%workflow prune --yes")
    # Once its events are published.
    until(lambda: "1 workflow deleted" in run("%workflow prune --days 0 --yes"))
    assert "no workflow" in refused(run, "%workflow show a").message


def test_agents_are_listed(run, agents):  # noqa: ARG001
    for line in ("%workflow agents", "%agent", "%agent list"):
        table = run(line)
        assert table.column("agent") == ["plan", "publish", "scaffold"]
        assert set(table.column("state")) == {"no worker"}
    assert table.column("capabilities")[2] == "files, code"


def test_help_prints(shown):
    assert "%%workflow new-app --run" in shown("%workflow help")
    assert "who approves" in shown("%workflow approve --help")
    assert "approve" in shown("%%workflow help\nplan")
    assert "%%agent scaffold" in shown("%agent help")
    assert "%%agent scaffold" in shown("%%agent --help\n1")


# Tab


def offered(shell, text):
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, len(text)))
    words = [text[: c.start] + c.text for c in found]
    cut = max(text.rfind(mark) for mark in (" ", "\n", "=", "(", ",", "!")) + 1
    return [word[cut:] for word in words]


def test_tab_offers_verbs_options_workflows_tasks_and_agents(shell, run, agents):  # noqa: ARG001
    view = run("%%workflow alpha\nplan: !approve\nrelease: publish <- plan")
    assert offered(shell, "%workflow app") == ["approve"]
    assert offered(shell, "%workflow list --st") == ["--state"]
    assert offered(shell, "%workflow list --state f") == ["failed"]
    assert offered(shell, "%workflow show al") == ["alpha"]
    assert offered(shell, f"%workflow show {view.id[:6]}") == [view.id]
    assert offered(shell, "%workflow approve al") == ["alpha"]
    assert offered(shell, "%workflow approve alpha ") == ["plan"]
    assert offered(shell, "%workflow work sc") == ["scaffold"]
    assert offered(shell, "%%workflow x --max") == ["--max-parallel"]
    assert offered(shell, "%%agent x --cap") == ["--capabilities"]
    assert offered(shell, "%%agent x\nx = ctx.prog") == ["ctx.progress"]
    assert {"task.name", "task.data"} <= set(offered(shell, "%%agent x\ntask."))
    shell.user_ns["prices"] = {}
    assert "prices" in offered(shell, "%%agent x\npri")  # what the notebook has, too


def test_tab_offers_agents_needs_and_marks_in_the_lines_of_a_workflow(shell, agents):  # noqa: ARG001
    assert offered(shell, "%%workflow x\nplan\napi: sc") == ["scaffold"]
    assert offered(shell, "%%workflow x\nplan\napi: scaffold <- ") == ["plan"]
    assert offered(shell, "%%workflow x\nplan\napi: scaffold <- plan !app") == ["approve"]


def test_retries_is_deprecated_which_a_visible_line_says(run, shown, hub):
    made = str(run("%%agent old --retries 2\n1"))
    assert "--retries 2 is deprecated: use --attempts 3" in made
    assert hub.workflows.agent_info("old").attempts == 3
    printed = shown("%%workflow a\nold\ntwice: old !retries=1")
    assert "line 2: !retries=1 is deprecated: use !attempts=2" in printed
    assert hub.workflows.get("a").task("twice").attempts == 2
    with pytest.raises(UsageError, match="--attempts and --retries are given both"):
        run("%%agent old --retries 2 --attempts 3\n1")


def test_an_edited_cell_under_a_used_key_is_an_error_and_a_failed_one_says_so(run, shown, hub):
    run("%%agent bad --attempts 1\n1 / 0")
    with pytest.raises(TaskFailed):
        run("%%workflow letter --key L1 --run\nbad")
    made = hub.workflows.get("letter")
    with pytest.raises(UsageError, match=f"key 'L1' was used for workflow letter .{made.id}."):
        run("%%workflow letter --key L1\nbad\nmore: bad")
    printed = shown("%%workflow letter --key L1\nbad")
    assert f"key L1 is workflow {made.id}, which failed: nothing was made" in printed
    assert f"%workflow retry {made.id} runs it again" in printed
    assert len(hub.workflows.list()) == 1


def test_an_agent_is_limited_and_its_tasks_say_that_they_wait(run, shown, hub, agents, until):  # noqa: ARG001 - agents are made
    assert "no agent has a limit: hub.workflows.limit('AGENT', concurrency=3)" in shown(
        "%workflow limit"
    )
    assert "10 per 60 s" in shown("%workflow limit plan 10 --per 60")
    assert "10 per 60 s, concurrency 1" in shown("%workflow limit plan --concurrency 1")
    assert "agent publish has no limit" in shown("%workflow limit publish")
    begun, go = threading.Event(), threading.Event()

    def slow(task):  # noqa: ARG001 - what an agent is given
        begun.set()
        go.wait(30)

    hub.workflows.agent("plan")(slow)
    one = hub.workflows.create("one", [{"name": "a", "agent": "plan"}])
    worker = hub.workflows.work()
    assert begun.wait(30)
    two = hub.workflows.create("two", [{"name": "b", "agent": "plan"}])
    try:
        until(lambda: "agent limit 1 of 1" in shown("%workflow limit"))
        assert "agent limit 1 of 1" in shown("%workflow tasks two")
        assert "tasks of agent plan wait: agent limit 1 of 1" in two.why_waiting()
        assert one.why_waiting() == ""
    finally:
        go.set()
    two.wait(timeout=30)
    worker.stop()
    assert "no agent has a limit" in shown("%workflow unlimit plan")
    for line, message in (
        ("%workflow limit plan 0 --per 60", "rate must be 1 to 1,000,000, got 0"),
        ("%workflow limit plan many --per 60", "rate must be 1 to 1,000,000, got 'many'"),
        ("%workflow limit --concurrency 1", "no agent is named"),
    ):
        with pytest.raises(UsageError, match=message):
            run(line)
    with pytest.raises(NotFoundError, match="there is no agent 'plam'"):
        run("%workflow limit plam --concurrency 1")


def test_the_workers_of_agents_are_listed(run, shown):
    assert "no worker is running: " in shown("%workflow workers")
    run("%%agent write\ntask.data")
    run("%workflow work --concurrency 2")
    (row,) = run("%workflow workers")
    assert (row.executor, row.running, row.concurrency) == ("threads", 0, 2)
    assert row.agents == "write"


def test_a_workflow_is_paused_shown_as_such_and_resumed(run, agents, shell):  # noqa: ARG001
    run("%%workflow a\nplan")
    assert "a: paused: %workflow resume" in str(run("%workflow pause a"))
    assert "‖ paused" in repr(run("%workflow list"))
    view = run("%workflow run a")  # it returns at once
    assert view.standing == "paused"
    assert "waits: it is paused: " in repr(view)
    assert "a" in offered(shell, "%workflow resume ")
    assert "a: resumed" in str(run("%workflow resume a"))
    assert "a" not in offered(shell, "%workflow resume ")
    assert run("%workflow run a").result == {"plan": {"parts": 2}}
    with pytest.raises(RejectedError, match="cannot be paused: it is completed"):
        run("%workflow pause a")


def test_a_cell_gives_its_workflow_a_deadline_or_its_schedule(run, agents, hub):  # noqa: ARG001
    assert " · deadline " in repr(run("%%workflow a --deadline 3600\nplan"))
    run("%%workflow b --deadline 2100-01-01T00:00+01:00\nplan")
    assert hub.workflows.get("b").deadline.isoformat() == "2099-12-31T23:00:00+00:00"
    run("%%workflow c --every 3600 --deadline 60\nplan")
    assert hub.workflows.get_schedule("c").trigger().deadline is not None
    for given, said in (("0", "greater than 0 s"), ("nan", "greater than"), ("soon", "a time")):
        assert (
            f"deadline must be {said}"
            in refused(run, f"%%workflow d --deadline {given}\nplan").message
        )


def test_options_of_a_task_are_changed_by_a_line(run, agents, hub, shell):  # noqa: ARG001
    run("%%workflow a\nplan\nrelease: publish <- plan")
    said = str(run("%workflow set a plan --attempts 5 --backoff 0 --timeout agent"))
    assert said.startswith("a: plan: attempts 5, backoff 0, timeout as its agent says; an attempt")
    assert hub.workflows.get("a").task("plan").attempts == 5
    assert {"--attempts", "--delay"} <= set(offered(shell, "%workflow set a plan --"))
    assert "plan" in offered(shell, "%workflow set a ")
    for line, said in (
        ("set a plan", "no option is given"),
        ("set a plan --attempts none", "1 or more, or agent"),
        ("set a plan --delay -1", "0 s or more"),
        ("set a plain --delay 1", "has no task 'plain'"),
    ):
        assert said in refused(run, f"%workflow {line}").message


def test_a_task_is_retried_from_a_step_by_a_line(run, shell):
    shell.user_ns["calls"] = calls = []
    run(
        "%%agent steps --attempts 1\nctx.step('one', calls.append, 1)\n"
        "ctx.step('two', calls.append, 2)\nassert calls[2:]"
    )
    with pytest.raises(RejectedError):
        run("%%workflow a --run\nsteps")
    assert {"one", "two"} <= set(offered(shell, "%workflow retry a steps --from "))
    assert "--from needs the task" in refused(run, "%workflow retry a --from two").message
    assert refused(run, "%workflow retry a steps --from tow").hint == "did you mean two?"
    assert "a: steps runs again from step two" in str(run("%workflow retry a steps --from two"))
    assert run("%workflow run a").state == "completed"
    assert calls == [1, 2, 2]
