"""The forms of questions in the workflow panel: drawn from the schema, errors beside the fields."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import ipywidgets
import pydantic
import pytest

import agentnb
from agentnb.core.codec import codec_of
from agentnb.core.workflow import Task
from agentnb.core.workflow.forms import MISSING
from agentnb.panels.base.live import walk
from agentnb.panels.workflow.form import Form
from agentnb.panels.workflow.view import WorkflowPanel
from agentnb.testing import run_until_idle
from tests.waiting import refresh

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m </script>"


class Place(pydantic.BaseModel):
    city: str
    zip: int | None = None


class Order(pydantic.BaseModel):
    title: str = pydantic.Field(description="In a few words")
    eur: Annotated[int, pydantic.Field(ge=1, le=100)]
    share: float = 0.5
    urgent: bool = False
    sure: bool | None = None
    size: Literal["small", "big"] = "small"
    kind: Literal["a", "b"]
    day: dt.date | None = None
    place: Place
    back: Place | None = None
    tags: list[str] = []


def form_of(kind):
    return Form(codec_of(kind).schema())


def fill(form, **values):
    for name, value in values.items():
        form.inputs[name.replace("__", ".")].value = value


@pytest.fixture
def hub(tmp_path):
    url = f"sqlite:///{tmp_path / 'a.db'}"
    with agentnb.connect(home=tmp_path / "home", database_url=url, redis_url="") as hub:
        yield hub


@pytest.fixture
def ask(hub):
    """Return what makes a workflow whose task asks for a form, and parks it."""

    def make(form=None, question="How much?", to="ada", **options):
        @hub.workflows.agent("plan")
        def plan(_, ctx):
            found = ctx.ask("budget", question, form=form, to=to, **options)
            return found.model_dump(mode="json") if isinstance(found, Order) else found

        workflow = hub.workflows.create("x", [Task("plan")])
        run_until_idle(hub)
        assert workflow.task("plan").state == "parked"
        return workflow

    return make


@pytest.fixture
def view(hub):
    made = []

    def open_view():
        made.append(WorkflowPanel(hub, every=None))
        return refreshed(made[-1])

    yield open_view
    for one in made:
        one.panel.close()


def refreshed(view):
    refresh(view.panel)
    return view


def said(view):
    return view.panel._bar.widget.message.get("text", "")


def the_question(view):
    (one,) = view.questions.forms.values()
    return one


def test_each_kind_of_value_has_its_widget_and_its_default():
    found = {name: type(one) for name, one in form_of(Order).inputs.items()}
    assert found["title"] is found["eur"] is found["share"] is ipywidgets.Text
    assert found["urgent"] is ipywidgets.Checkbox
    assert issubclass(found["size"], ipywidgets.Dropdown)
    assert issubclass(found["sure"], ipywidgets.Dropdown)
    assert found["day"] is ipywidgets.DatePicker
    assert found["tags"] is ipywidgets.Textarea
    assert found["place.city"] is ipywidgets.Text
    form = form_of(Order)
    assert form.inputs["share"].value == "0.5"
    assert (form.inputs["size"].value, form.inputs["kind"].value) == ("small", "")
    assert list(form.inputs["kind"].options) == ["", "a", "b"]


def test_a_day_has_its_title_as_other_fields_have_and_none_of_its_own_tags():
    assert form_of(Order).inputs["day"].description == (
        'Day <span class="agentnb-dim">(optional)</span>'
    )
    day = {"type": "string", "format": "date", "title": HOSTILE}
    form = Form({"type": "object", "properties": {"d": day}})
    assert "<img" not in form.inputs["d"].description


def test_a_filled_form_is_the_answer_and_what_is_left_empty_is_left_out():
    form = form_of(Order)
    day = dt.date(2030, 1, 2)
    fill(form, title="t", eur="7", kind="b", place__city="Rome", day=day, tags='["x"]')
    fill(form, urgent=True, sure="false", share="")
    assert "back" not in form.answer()
    assert Order.model_validate(form.answer()) == Order(
        title="t",
        eur=7,
        kind="b",
        place=Place(city="Rome"),
        day=day,
        tags=["x"],
        urgent=True,
        sure=False,
    )
    assert "share" not in form.answer()


def test_errors_are_shown_beside_their_fields_and_go_away():
    form = form_of(Order)
    fill(form, eur="500", share="much", tags="[1", place__zip="x")
    assert form.answer() is MISSING
    assert form.errors == {
        "title": "is missing",
        "eur": "must be at most 100, got 500",
        "share": "must be a number",
        "kind": "is missing",
        "place.city": "is missing",
        "place.zip": "must be a whole number",
        "tags": "must be JSON",
    }
    fill(form, title="t", eur="5", share="1", kind="a", tags="[1]", place__zip="")
    fill(form, place__city="Rome")
    assert form.answer() is MISSING
    assert set(form.errors) == {"tags"}  # its items must be text
    fill(form, tags="")
    assert form.answer()["place"] == {"city": "Rome"}
    assert form.errors == {}


def test_an_answer_that_is_no_object_is_one_field_and_any_json_a_box():
    yes = form_of(Literal["yes", "no"])
    assert yes.answer() is MISSING
    fill(yes, **{"": "no"})
    assert yes.answer() == "no"
    number = form_of(int)
    fill(number, **{"": "7"})
    assert number.answer() == 7
    free = Form(None)
    assert free.answer() is MISSING
    for text, value in (('{"a": 1}', {"a": 1}), ("just do it", "just do it")):
        fill(free, **{"": text})
        assert free.answer() == value


def test_a_form_of_very_many_fields_is_a_box_of_json():
    properties = {f"n{n}": {"type": "integer"} for n in range(200)}
    form = Form({"type": "object", "properties": properties, "required": ["n1"]})
    assert list(form.inputs) == [""]
    fill(form, **{"": '{"n1": "x"}'})
    assert form.answer() is MISSING
    assert "n1 must be a whole number" in form.errors[""]


def test_a_question_is_shown_answered_and_gone(ask, view, hub):
    workflow = ask(Order)
    panel = view()
    question = the_question(panel)
    shown = " ".join(one.value for one in walk(question.widget) if isinstance(one, ipywidgets.HTML))
    assert "<strong>plan</strong> waits for ada: How much?" in shown
    assert "In a few words" in shown
    fill(question.form, title="t", eur="0", kind="a", place__city="Rome")
    question.answer.click()
    assert said(panel).startswith("some fields are not right")
    assert question.form.errors == {"eur": "must be at least 1, got 0"}
    assert the_question(refreshed(panel)) is question  # with what was typed
    fill(question.form, eur="5")
    question.answer.click()
    assert said(panel) == "plan is answered"
    assert refreshed(panel).questions.forms == {}
    assert panel.questions.widget.layout.display == "none"
    run_until_idle(hub)
    assert workflow.refresh().result["plan"]["eur"] == 5


def test_a_question_that_another_has_answered_or_that_is_cancelled_goes_away(ask, view):
    workflow = ask(int)
    panel = view()
    question = the_question(panel)
    workflow.answer("plan", "budget", 1, by="bob")
    fill(question.form, **{"": "2"})
    question.answer.click()
    assert "was answered by bob" in said(panel)
    assert refreshed(panel).questions.forms == {}
    workflow.cancel()
    other = ask(int)
    assert list(refreshed(panel).questions.forms)
    other.cancel()
    assert refreshed(panel).questions.forms == {}


def test_an_answer_that_the_type_refuses_is_asked_again_with_the_error(ask, view, hub):
    def even(value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value

    class Even(pydantic.BaseModel):
        n: Annotated[int, pydantic.AfterValidator(even)]

    ask(Even)
    panel = view()
    first = the_question(panel)
    fill(first.form, n="3")
    first.answer.click()
    run_until_idle(hub)
    again = the_question(refreshed(panel))
    assert again is not first
    about = " ".join(one.value for one in walk(again.widget) if isinstance(one, ipywidgets.HTML))
    assert "the last answer did not fit: " in about
    assert "must be even" in about


def test_parked_is_shown_in_the_tables_the_graph_and_the_detail(ask, view):
    ask(int)
    panel = view()
    texts = str(panel.tasks.state()["rows"])
    assert "◔ parked" in texts
    assert "waits for ada: How much?" in texts
    assert "parked" in panel.graph.widget.html
    assert "task plan waits for ada: How much?" in panel.notice.lines[0]
    panel._pick("plan")
    assert "waits for ada: How much?" in refreshed(panel).detail.about.value
    assert "parked" in str(panel.workflows.state()["rows"])


def test_hostile_text_in_questions_and_schemas_is_only_text(ask, view):
    schema = {
        "type": "object",
        "title": HOSTILE,
        "properties": {
            HOSTILE: {"type": "string", "title": HOSTILE, "description": HOSTILE * 100},
            "e": {"enum": [HOSTILE, {"a": HOSTILE}, None], "default": HOSTILE},
            "d": {"type": "string", "format": "date", "default": HOSTILE},
            "b": {"type": "boolean", "default": HOSTILE},
            "n": {"type": "integer", "minimum": HOSTILE, "default": {"x": HOSTILE}},
        },
        "required": [HOSTILE, "nobody"],
    }
    form = Form(schema)
    assert form.answer() is MISSING
    ask(int, question=HOSTILE, to=HOSTILE)
    panel = view()
    for root in (form.widget, panel.panel.root):
        for one in walk(root):
            if isinstance(one, ipywidgets.HTML):
                assert "<img" not in one.value
                assert "\x1b" not in one.value
    assert "<img" not in panel.graph.widget.html


def test_more_questions_than_fit_are_counted(hub, view):
    hub.workflows.agent("plan")(lambda _, ctx: ctx.ask("budget", "How much?"))
    hub.workflows.create("x", [Task(f"t{n}", agent="plan") for n in range(7)])
    run_until_idle(hub)
    panel = view()
    assert len(panel.questions.forms) == 5
    assert panel.questions.widget.children[-1].value.endswith("and 2 more questions")
    first, second, *_ = panel.questions.forms.values()
    fill(second.form, **{"": "typed"})
    fill(first.form, **{"": "5"})
    first.answer.click()
    left = list(refreshed(panel).questions.forms.values())
    assert len(left) == 5
    assert left[0] is second
    assert second.form.inputs[""].value == "typed"
