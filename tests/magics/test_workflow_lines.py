from __future__ import annotations

import pytest

from agentnb.core.errors import UsageError
from agentnb.magics.workflow.lines import parse


def one(line, **names):
    (found,) = parse(line, names)
    return found


def refused(body, **names):
    with pytest.raises(UsageError) as caught:
        parse(body, names)
    return caught.value.message, caught.value.hint or ""


def test_a_line_has_a_name_an_agent_data_needs_and_marks():
    _, _, task = parse(
        "plan\nother: plan\n"
        'api: scaffold {"name": "my-app"} <- plan, other !approve !priority=1 !delay=5',
        {},
    )
    assert (task.number, task.name, task.agent) == (3, "api", "scaffold")
    assert task.data == {"name": "my-app"}
    assert task.needs == ["plan", "other"]
    assert task.options == {"approval": True, "priority": 1, "delay": 5.0}


def test_a_task_without_an_agent_is_for_the_one_of_its_name():
    assert one("plan").agent == "plan"
    assert one("plan:").agent == "plan"
    assert one('plan: {"a": 1}').agent == "plan"
    found = parse("plan\nship: <- plan\ngo <- plan !approve", {})
    assert [task.agent for task in found] == ["plan", "ship", "go"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a # b": "<- !x", "c": [1, {}]}', {"a # b": "<- !x", "c": [1, {}]}),
        ("[1, 2]", [1, 2]),
        ('"two words"', "two words"),
        ("-1.5", -1.5),
        ("7", 7),
        ("true", True),
        ("null", None),
    ],
)
def test_data_is_any_json_decoded_in_place(text, value):
    task = one(f"api: scaffold {text} !attempts=1 # a comment")
    assert task.data == value
    assert task.options == {"attempts": 1}
    assert one(f"api:scaffold {text}").data == value


def test_json_may_go_on_over_several_lines():
    found = parse('a: scaffold {\n  "x": 1\n} <- b\n\nb: scaffold', {})
    assert [(task.number, task.data) for task in found] == [(1, {"x": 1}), (5, None)]


def test_a_name_with_a_colon_is_looked_up_in_the_notebook():
    assert one("a: scaffold :cfg.app", cfg={"app": {"n": 1}}).data == {"n": 1}
    message, hint = refused("b: plan\na: scaffold :cgf", cfg=1)
    assert message.startswith("line 2: task a: nothing is bound to :cgf")
    assert hint == "did you mean cfg?"


def test_comments_and_empty_lines_are_nothing():
    body = "# all of it\n\n  plan: plan  # first\n\t# more\napi: scaffold <- plan# no space\r\n"
    assert [(task.number, task.needs) for task in parse(body, {})] == [(3, []), (5, ["plan"])]


def test_needs_and_marks_come_in_any_order_and_more_than_once():
    found = parse("a\nb\nc: x !approve <- a !delay=1 <- b , a", {})
    assert found[2].needs == ["a", "b", "a"]
    assert found[2].options == {"approval": True, "delay": 1.0}


@pytest.mark.parametrize(
    ("body", "line", "what", "hint"),
    [
        ("a\n<- a", 2, "begins with the name of a task", "api: scaffold"),
        ("a\nb plan", 2, "behind the name b comes a colon, not plan", "b: AGENT"),
        ("a: x {'b': 1}", 1, "malformed JSON", "double quotes"),
        ("a\nb: x {\n 'c': 1}", 3, "malformed JSON", "double quotes"),
        ('a: x {"b": 1', 1, "malformed JSON", "double quotes"),
        ("a: x y", 1, "y cannot be understood", ":name"),
        ("a: x <-", 1, "behind <- the name of a task is wanted, not nothing", "a word"),
        ("a\nb: x <- a,", 2, "behind <- the name of a task is wanted", "a word"),
        ("a: x !aprove", 1, "there is no mark !aprove", "did you mean approve?"),
        ("a: x !zzz", 1, "there is no mark !zzz", "!delay=SECONDS"),
        ("a: x !approve=yes", 1, "!approve takes no value", "!approve"),
        ("a: x !delay", 1, "!delay must be 0 s or more, got nothing", "!delay=SECONDS"),
        ("a: x !delay=soon", 1, "!delay must be 0 s or more, got soon", "!delay=SECONDS"),
        ("a: x !delay=-1", 1, "!delay must be 0 s or more, got -1", "!delay=SECONDS"),
        ("a: x !delay=inf", 1, "!delay must be 0 s or more, got inf", "!delay=SECONDS"),
        ("a: x !priority=-1", 1, "!priority must be 0 or more, got -1", "!priority=N"),
        ("a: x !timeout=0", 1, "!timeout must be greater than 0 s, got 0", "!timeout=SECONDS"),
        ("a: x !attempts=1.5", 1, "!attempts must be 1 or more, got 1.5", "!attempts=N"),
        ('"x": y', 1, 'a name of a task is wanted, not "x":', "a word"),
    ],
)
def test_an_error_tells_the_line_and_what_to_write_instead(body, line, what, hint):
    message, said = refused(body)
    assert message.startswith(f"line {line}: ")
    assert what in message
    assert hint in said


def test_a_body_without_a_task_says_how_one_is_written():
    for body in ("", "\n# nothing\n"):
        message, hint = refused(body)
        assert message == "the cell names no task"
        assert "api: scaffold" in hint


def test_many_lines_are_read_in_no_time():
    body = "\n".join(f'task-{n}: work {{"n": {n}}} <- task-{max(0, n - 1)}' for n in range(1, 3000))
    assert len(parse(f"task-0\n{body}", {})) == 3000


@pytest.mark.parametrize(
    ("data", "said"),
    [("1" * 5000, "a number of too many digits"), ("[" * 100_000, "nested too deeply")],
)
def test_json_beyond_what_can_be_read_is_refused_with_its_line(data, said):
    message, _ = refused(f"plan\napi: scaffold {data}")
    assert message.startswith(f"line 2: task api: malformed JSON: {said} at")
    assert len(message) < 120
