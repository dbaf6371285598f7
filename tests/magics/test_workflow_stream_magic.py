"""``%workflow stream``: what a task streams is shown below the cell, in one output."""

from __future__ import annotations

import _thread
import threading

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.workflow import Task
from agentnb.magics.livetext import LiveText
from tests.waiting import until


@pytest.fixture
def flows(shell):
    return shell.user_ns["hub"].workflows


@pytest.fixture
def displayed(run, shell, monkeypatch):
    """Run a cell as a notebook does; return its result, and the texts of its one output."""
    monkeypatch.setattr(InteractiveShell, "_instance", shell)
    monkeypatch.setattr(shell, "kernel", object(), raising=False)

    def run_cell(source):
        with capture_output() as captured:
            result = run(source)
        found = captured.outputs
        assert [bool(one.update) for one in found] == [False, *[True] * (len(found) - 1)][
            : len(found)
        ]
        return result, [one.data["text/plain"] for one in found]

    return run_cell


@pytest.fixture
def when_shown(monkeypatch):
    """Return what is set once something has been shown."""
    some, real = threading.Event(), LiveText.update

    def update(live):
        real(live)
        if live._shown:
            some.set()

    monkeypatch.setattr(LiveText, "update", update)
    return some


def make(flows, function, *, name="write", **options):
    """Make a workflow of one task, which a worker of this process does."""
    flows.agent(name, backoff=0.001, **options)(function)
    workflow = flows.create("w", [Task(name)])
    flows.work()
    return workflow


def test_a_stream_grows_in_one_output_that_has_the_whole_text_in_the_end(
    flows, displayed, when_shown
):
    def write(_, ctx):
        ctx.write("one ")
        assert when_shown.wait(30)
        ctx.write("two")

    make(flows, write)
    found, texts = displayed("%workflow stream")
    assert texts == ["one ", "one two"]
    assert (str(found), found.note, found.resets) == ("one two", "", 0)
    assert [chunk.value for chunk in found] == ["one ", "two"]
    with capture_output() as captured:
        found._ipython_display_()  # by a later cell
    assert [one.data["text/plain"] for one in captured.outputs] == ["one two"]


def test_what_an_attempt_dropped_is_taken_from_the_output(flows, displayed, when_shown):
    def write(task, ctx):
        ctx.write(f"{task.attempt}: half ")
        assert when_shown.wait(30)
        if task.attempt == 1:
            raise ValueError
        ctx.write("whole")

    make(flows, write)
    found, texts = displayed("%workflow stream w write")
    assert texts[0] == "1: half "
    assert texts[-1] == "2: half whole"
    assert found.resets == 1


def test_ctrl_c_leaves_the_stream_and_says_how_to_go_on(flows, displayed, when_shown):
    go = threading.Event()

    def write(_, ctx):
        ctx.write("one ")
        assert when_shown.wait(30)
        _thread.interrupt_main()
        assert go.wait(30)
        ctx.write("two")

    workflow = make(flows, write)
    found, texts = displayed("%workflow stream w")
    line = f"[left; the task goes on: %workflow stream {workflow.id} write]"
    assert texts[-1] == repr(found) == f"one \n{line}"
    go.set()
    workflow.wait(30)
    assert displayed(line.partition(": ")[2][:-1])[1][-1] == "one two"


def test_streams_stand_below_their_names_and_secrets_are_masked(flows, displayed):
    def write(_, ctx):
        ctx.write("the key is sk-ant-")
        ctx.write("REDACTED0123456789abcdefghijklmnop")
        ctx.write({"asked": 1}, "log")

    make(flows, write).wait(30)
    _, (*_, text) = displayed("%workflow stream w write")
    assert "REDACTED0123456789" not in text
    assert text.startswith("[out]\nthe key is ")
    assert text.endswith('\n[log]\n{"asked": 1}')
    assert displayed("%workflow stream w write --stream log")[1] == ['{"asked": 1}']
    assert displayed("%workflow stream w write --quiet") == (None, [])


def test_a_task_that_fails_or_streams_nothing_says_so(flows, displayed):
    def write(task, ctx):
        if task.attempt == 2:
            ctx.write("half")
            ctx.fail("out of ink")

    make(flows, write).wait(30)
    assert displayed("%workflow stream w")[1] == [
        "[task write is completed, and has streamed nothing]"
    ]

    def fails(_, ctx):
        ctx.write("half")
        ctx.fail("out of ink")

    workflow = make(flows, fails)
    until(lambda: workflow.refresh().state == "failed")
    _, texts = displayed("%workflow stream w")
    assert texts[-1] == "half\n[task write is failed: Final: out of ink]"


def test_a_task_that_waits_says_why_and_is_shown_without_waiting(flows, displayed, monkeypatch):
    from agentnb.magics.workflow import streaming

    flows.agent("write")(lambda _, ctx: ctx.write("x"))
    flows.create("w", [Task("write")])
    assert displayed("%workflow stream --no-follow")[1] == [
        "[task write is waiting: more may follow]"
    ]
    monkeypatch.setattr(streaming, "_ASK_AFTER", 0.0)
    real, seen = streaming._waiting, []

    def waiting(*args):
        seen.append(real(*args))
        flows.work()
        return seen[-1]

    monkeypatch.setattr(streaming, "_waiting", waiting)
    _, texts = displayed("%workflow stream")
    assert seen[0] == texts[0]
    assert "no worker serves agent write" in texts[0]
    assert texts[-1] == "x"


def test_the_task_is_chosen_where_one_alone_streams(flows, run, shell):
    flows.agent("quiet")(lambda _: None)
    flows.agent("write")(lambda task, ctx: ctx.write(task.name))
    flows.work()
    with pytest.raises(NotFoundError, match="there is no workflow yet"):
        run("%workflow stream")
    workflow = flows.create("one", [Task("a", agent="write"), Task("b", agent="quiet")])
    workflow.wait(30)
    assert str(run("%workflow stream --no-follow")) == "a"
    flows.create("two", [Task(name, agent="write") for name in ("a", "b")]).wait(30)
    with pytest.raises(UsageError, match="2 tasks of two stream") as caught:
        run("%workflow stream two")
    assert caught.value.hint == "name one: a, b"
    flows.create("none", [Task(name, agent="quiet") for name in ("a", "b")]).wait(30)
    with pytest.raises(NotFoundError, match="no task of none has streamed anything yet"):
        run("%workflow stream none")
    with provisionalcompleter():
        offered = {
            one.text for one in shell.Completer.completions("%workflow stream one a --s", 26)
        }
        streams = "%workflow stream one a --stream "
        names = {one.text for one in shell.Completer.completions(streams, len(streams))}
    assert "--stream" in offered
    assert "out" in names


def test_a_terminal_prints_what_comes_and_marks_what_is_written_anew(flows, shell, capsys):
    printed = threading.Event()

    def write(task, ctx):
        ctx.write("one\n")
        if task.attempt == 1:
            ctx.write("half")
            assert printed.wait(30)
            raise ValueError
        ctx.write("two")
        ctx.write("asked", "log")

    make(flows, write)
    text = []

    def look():
        text.append(capsys.readouterr().out)
        return "half" in "".join(text)

    watching = threading.Thread(target=lambda: (until(look), printed.set()))
    watching.start()
    shell.run_cell("%workflow stream w")
    watching.join()
    text.append(capsys.readouterr().out)
    assert "".join(text) == (
        "one\nhalf\n[attempt 2 writes anew what is behind value 0]\none\ntwo\n[log]\nasked\n"
        "Out[0]: 3 values\n"
    )
