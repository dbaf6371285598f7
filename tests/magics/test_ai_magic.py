"""%%ai: a question to a model, whose words come into the cell."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from agentnb.errors import ConfigError, DeadlineExceeded, UnavailableError, UsageError
from agentnb.magics.ai.show import AnswerView
from tests.ai.conftest import KEY, chat_api, serve  # noqa: F401 - fixtures


@pytest.fixture
def ask(serve, monkeypatch):  # noqa: F811 - the fixture
    """Return what starts a fake that the settings name."""

    def start(answer):
        api = serve(answer)
        for name, value in (("", "openai:fake"), ("_URL", api.url), ("_KEY", KEY)):
            monkeypatch.setenv(f"AGENTNB_LLM{name}", value)
        return api

    return start


def test_the_words_are_printed_and_kept_under_a_name(ask, shown, shell):
    api = ask(["one two three"])
    printed = shown("%%ai --as answer --system 'Be brief.'\nWhy is\nthe sky blue?")
    assert printed.startswith("one two three\n[fake; 1 request, 10 tokens in, 5 out]\n")
    assert shell.user_ns["answer"] == "one two three"
    assert [one["content"] for one in api.requests[0]["messages"]] == [
        "Be brief.",
        "Why is\nthe sky blue?",
    ]
    assert api.keys == [KEY]
    (span,) = [one for one in shell.user_ns["hub"].tracer.recent() if one.name == "ask"]
    assert span.attributes["gen_ai.usage.output_tokens"] == 5


def test_the_model_is_given_the_tools_that_were_asked_for_and_told_of_errors(
    ask,
    shown,
    chat_api,  # noqa: F811 - the fixture
):
    def answer(request):
        turn = chat_api.turn_of(request)
        if turn == 0:
            calls = [chat_api.call("db_query", {"sql": "select 6*7 as n"}, "a")]
            return chat_api.Answer(
                calls=[*calls, chat_api.call("file_read", {"path": "../x"}, "b")]
            )
        return " ".join(one["content"] for one in request["messages"] if one["role"] == "tool")

    api = ask(answer)
    printed = shown("%%ai --tools db,files\nHow many?")
    assert "42" in printed
    assert "leads out of the workspace" in printed  # so that the model can try again
    assert "db_query, file_read]" in printed
    names = [tool["function"]["name"] for tool in api.requests[0]["tools"]]
    assert names == ["db_schema", "db_query", "file_list", "file_read"]


def test_a_server_that_says_the_key_or_clears_the_screen_is_masked(ask, shown, shell):
    # Its words come one by one, and the key in two of them.
    ask([f"the key is {KEY[:9]} and {KEY}, {KEY[:6]}\x1b[2J\rend"])
    printed = shown("%%ai --as answer\nhi")
    assert printed.startswith(f"the key is {KEY[:9]} and ••••••, {KEY[:6]}[2Jend\n[fake; ")
    assert KEY not in shell.user_ns["answer"]


def test_a_secret_that_comes_in_pieces_is_masked():
    from pydantic_ai.models.function import FunctionModel

    from agentnb.ai.asking import Question
    from agentnb.core.redact import Redactor

    async def stream(*_):
        for at in range(0, len(KEY), 4):
            yield KEY[at : at + 4]
        yield f" and {KEY[:8]}"

    question = Question(FunctionModel(stream_function=stream), "hi", redactor=Redactor([KEY]))
    assert "".join(question.words()) == f"•••••• and {KEY[:8]}"


def test_a_password_in_the_line_is_refused(run):
    with pytest.raises(UsageError, match="would be saved"):
        run("%%ai --url http://u:hunter22pw@localhost/v1\nhi")


def test_an_address_that_does_not_answer_says_where_it_is_set(ask, run):
    ask([])
    with pytest.raises(UnavailableError) as caught:
        run("%%ai --url http://127.0.0.1:1/v1\nhi")
    assert "AGENTNB_LLM_URL" in caught.value.hint


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ({"text": f"bad key {KEY}", "status": 401}, ConfigError, "status_code: 401"),
        ({"status": 404}, ConfigError, "status_code: 404"),
        ({"status": 500}, UnavailableError, "status_code: 500"),
        ({"status": 429, "headers": {"Retry-After": "7"}}, UnavailableError, "429"),
        ({"hangs": True}, DeadlineExceeded, r"longer than 0\.5 s"),
    ],
)
def test_what_fails_says_what_to_do(ask, run, chat_api, answer, error, words):  # noqa: F811
    api = ask(lambda _: chat_api.Answer(**answer))
    with pytest.raises(error, match=words) as caught:
        run("%%ai --timeout 0.5\nhi" if answer.get("hangs") else "%%ai\nhi")
    assert caught.value.hint
    assert KEY not in str(caught.value) + caught.value.hint
    assert len(api.requests) == 1  # a person decides when it is asked again


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%%ai\n ", "a question has 1 to 400,000 characters"),
        ("%%ai --as 7x\nhi", "--as must be a variable"),
        ("%%ai --tools db,flies\nhi", "tools must be"),
        ("%%ai --bogus\nhi", "bogus"),
    ],
)
def test_what_is_written_wrongly_is_refused_before_a_model_is_asked(ask, run, cell, words):
    api = ask(lambda _: "never")
    with pytest.raises(UsageError, match=words):
        run(cell)
    assert api.requests == []


def test_a_question_may_stand_on_the_line(ask, shown):
    api = ask(["one"])
    assert shown("%ai Why is it blue?").startswith("one\n[fake;")
    assert api.requests[0]["messages"][-1]["content"] == "Why is it blue?"
    shown("%ai?")  # the help of the magic, as of any other
    assert len(api.requests) == 1


def test_without_a_model_the_error_says_where_to_name_one(run, monkeypatch):
    monkeypatch.delenv("AGENTNB_LLM", raising=False)
    with pytest.raises(ConfigError, match="no language model is named"):
        run("%%ai\nhi")


def test_the_bare_line_shows_the_model_and_no_key(ask, run):
    ask([])
    rows = dict(map(tuple, run("%ai").rows))
    assert rows["model"] == "openai:fake"
    assert rows["key"] == "AGENTNB_LLM_KEY"
    assert KEY not in str(rows)


def test_an_interrupt_keeps_what_came_and_stops_the_model(ask, shown, chat_api, shell):  # noqa: F811
    began = threading.Event()

    def answer(_):
        began.set()
        return chat_api.Answer("word " * 2000, pause=0.05)

    ask(answer)
    main = threading.main_thread().ident

    def interrupt():
        began.wait(30)
        time.sleep(0.5)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    printed = shown("%%ai --as answer\nhi")
    thread.join()
    assert "\n[fake: interrupted]\n" in printed
    assert "answer" not in shell.user_ns


def test_a_kernel_shows_one_output_that_grows(serve, kernel, chat_api):  # noqa: F811
    api = serve(lambda _: chat_api.Answer("one two <b>three</b>", pause=0.12))
    kernel.run(
        f"import os; os.environ |= {{'AGENTNB_LLM': 'openai:fake', 'AGENTNB_LLM_URL': {api.url!r}, "
        f"'AGENTNB_LLM_KEY': {KEY!r}}}"
    )
    (data,) = [data for kind, data in kernel.outputs("%%ai\nhi") if kind == "display_data"]
    assert data["text/plain"] == ("one two <b>three</b>\n[fake; 1 request, 10 tokens in, 5 out]")
    assert "&lt;b&gt;three" in data["text/html"]
    assert kernel.outputs("%%ai --quiet\nhi") == []


def test_an_answer_is_shown_as_text():
    view = AnswerView("![x](http://evil/?q=1) <img src=x>", "fake")
    assert "<img" not in view._repr_html_()
    assert not hasattr(view, "_repr_markdown_")
