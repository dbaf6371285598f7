"""%workflow waits and %workflow answer: questions of tasks, asked of a person at a notebook."""

from __future__ import annotations

import dataclasses

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import RejectedError, UsageError
from tests.waiting import until


@dataclasses.dataclass
class Budget:
    eur: int
    note: str = ""


@pytest.fixture
def hub(shell):
    return shell.user_ns["hub"]


@pytest.fixture
def asking(hub):
    @hub.workflows.agent("plan")
    def plan(_, ctx):
        found = ctx.ask("budget", "How <b>much</b>?", form=Budget, to="ada")
        return f"{found.eur} {found.note}"

    @hub.workflows.agent("free")
    def free(_, ctx):
        return ctx.ask("the word", "Which one?", form=str)

    @hub.workflows.agent("sleeper")
    def sleeper(_, ctx):
        ctx.sleep(3600)


def offered(shell, text):
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, len(text)))
    return [one.text for one in found]


def test_a_question_is_shown_everywhere_and_answered_by_a_line(run, shell, asking, hub):  # noqa: ARG001
    view = run("%%workflow a --run\nplan")  # it returns, since nothing goes on without a person
    assert view.tasks[0].state == "parked"
    assert "waits for ada: How <b>much</b>?" in repr(view)
    assert "<b>" not in view._repr_html_()
    assert "◔ parked" in repr(run("%workflow tasks a"))
    table = repr(run("%workflow waits"))
    assert "eur: whole number, note: text (optional)" in table
    assert table.index(" until ") < table.index(" question ")  # which may be long
    assert "waits budget, kinds ask" in repr(run("%workflow events a"))
    assert "%workflow answer WORKFLOW TASK NAME VALUE" in table
    assert repr(run("%workflow answer")) == repr(run("%workflow waits a"))
    assert "waits for ada" in repr(run("%workflow show a plan"))
    assert "a" in offered(shell, "%workflow answer ")
    assert "plan" in offered(shell, "%workflow answer a ")
    assert "budget" in offered(shell, "%workflow answer a plan ")
    said = str(run('%workflow answer a plan budget {"eur": 5, "note": "ok"} --by bob'))
    assert said.startswith("a: plan: budget is answered")
    assert run("%workflow run a").result == {"plan": "5 ok"}
    assert "no task waits" in repr(run("%workflow waits"))


def test_an_answer_is_json_a_variable_or_text_as_its_form_takes_it(run, shell, asking, hub):  # noqa: ARG001
    shell.user_ns["given"] = Budget(7)
    shell.user_ns["word"] = "w"
    for value, result in (("7", "7"), ("maybe", "maybe"), ('"5 6"', "5 6"), (":word", "w")):
        run("%%workflow b --run\nfree")
        run(f'%workflow answer b free "the word" {value}')
        assert run("%workflow run b").result == {"free": result}
    run("%%workflow c --run\nplan")
    run("%workflow answer c plan budget :given")
    assert run("%workflow run c").result == {"plan": "7 "}


def test_wrong_answers_say_what_is_wrong_and_what_to_type(run, asking, hub):  # noqa: ARG001
    run("%%workflow a --run\nplan")
    with pytest.raises(UsageError, match="an answer needs TASK, NAME and VALUE") as caught:
        run("%workflow answer a")
    assert "plan budget VALUE, which is: eur: whole number" in caught.value.hint
    for value, said in (('{"eur": "x"}', "eur must be a whole number"), ("{}", "eur is missing")):
        with pytest.raises(UsageError, match=said):
            run(f"%workflow answer a plan budget {value}")
    with pytest.raises(Exception, match="has no question 'budgit'"):
        run("%workflow answer a plan budgit 5")
    run('%workflow answer a plan budget {"eur": 1}')
    with pytest.raises(RejectedError, match=r"was answered by|takes no answer"):
        run('%workflow answer a plan budget {"eur": 2}')
    run("%workflow run a")
    with pytest.raises(UsageError, match="no task of a waits for an answer"):
        run("%workflow answer a")


def test_a_task_that_sleeps_says_until_when(run, asking, hub):  # noqa: ARG001
    run("%%workflow s\nsleeper")
    hub.workflows.work()
    workflow = hub.workflows.get("s")
    until(lambda: workflow.task("sleeper").state == "parked")
    assert "sleeps until " in repr(run("%workflow tasks s"))
    assert "1 parked" in repr(run("%workflow list"))
