"""The client of others' servers of tools, with one that hangs, floods, dies or changes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.server
import json
import os
import shlex
import socket
import sys
import threading
from pathlib import Path

import pytest

import agentnb
from agentnb.core.mcp.pins import digest_of
from agentnb.core.redact import Secret
from agentnb.errors import (
    DeadlineExceeded,
    NotFoundError,
    RejectedError,
    TaskFailed,
    UnavailableError,
    UsageError,
)
from tests.waiting import until

PEER = f"stdio: {sys.executable} {Path(__file__).with_name('mcp_peer.py')}"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with agentnb.connect(home=tmp_path_factory.mktemp("home")) as hub:
        yield hub


@pytest.fixture(scope="module")
def bank(hub):
    return hub.mcp(PEER, timeout=20, max_bytes=200_000)


def _ended(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


def test_tools_are_listed_and_called(bank):
    pay, balance = bank.describe()
    assert (pay.name, pay.read_only, pay.asks, pay.changed) == ("pay", False, True, False)
    assert (balance.read_only, balance.asks) == (True, False)
    assert bank.tools().dicts()[1]["read-only"] == "yes"
    assert bank.call("pay", n=4) == "pay 4"
    assert bank.call("pay", way="noise") == "paid"
    assert [bank.asks("pay"), bank.asks("balance")] == [True, False]
    with pytest.raises(NotFoundError, match="no tool 'pai'") as caught:
        bank.call("pai")
    assert "pay" in caught.value.hint


def test_a_result_is_unwrapped_where_the_schema_of_the_tool_says_that_it_is_wrapped(hub, bank):
    client = hub.mcp(PEER, env={"PEER_STRUCTURES": "1"}, timeout=20)
    assert client.call("count", way="structure") == 3
    assert client.call("marked", way="structure") == 3
    assert client.call("receipt", way="structure") == {"result": 3}
    assert bank.call("pay", way="structure") == {"result": 3}  # it has no schema of its result


@pytest.fixture
def failing():
    """Return the URL of a server that answers with a status, and what sets it."""
    answers = {"status": 500}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answers["status"])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/mcp", answers
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "words", "hint"),
    [
        (401, "HTTP 401 Unauthorized", "a token that it accepts, in headers="),
        (404, "HTTP 404 Not Found", "often /mcp"),
        (500, "HTTP 500 Internal Server Error", "the server's own log"),
        (599, r"HTTP 599 \(", "the server's own log"),
    ],
)
def test_the_status_of_a_server_that_refuses_is_shown(hub, failing, status, words, hint):
    url, answers = failing
    answers["status"] = status
    with pytest.raises(UnavailableError, match=words) as caught:
        hub.mcp(url, timeout=20).tools()
    assert hint in caught.value.hint


def test_the_same_server_is_one_client_and_other_options_make_another(hub, bank):
    assert hub.mcp(PEER, timeout=20, max_bytes=200_000) is bank
    asks = hub.mcp(PEER, ask=["bal*"])
    assert asks is not bank
    assert [asks.asks("pay"), asks.asks("balance")] == [False, True]


def test_calls_are_awaited_at_once(bank):
    async def pay():
        return await asyncio.gather(*[bank.acall("pay", n=n) for n in range(5)])

    assert asyncio.run(pay()) == [f"pay {n}" for n in range(5)]


@pytest.mark.parametrize(
    ("way", "error", "message"),
    [
        ("refuse", RejectedError, "no money"),
        ("die", UnavailableError, "out of money"),
        ("flood", RejectedError, "sent more than 200,000 bytes"),
        ("flood a line", RejectedError, "sent more than 200,000 bytes"),
    ],
)
def test_a_server_that_does_harm_is_an_error_and_the_next_call_is_answered(
    bank, way, error, message
):
    with pytest.raises(error, match=message) as caught:
        bank.call("pay", way=way)
    assert "hunter22" not in str(caught.value)
    assert bank.call("pay", n=1) == "pay 1"


def test_a_server_that_hangs_is_ended_at_the_deadline(hub):
    hangs = hub.mcp(PEER, timeout=1.5)

    def answer(**arguments):  # a busy machine may need longer for the start
        with contextlib.suppress(DeadlineExceeded):
            return hangs.call("pay", **arguments)

    number = int(until(lambda: answer(way="pid"), 60))
    with pytest.raises(DeadlineExceeded, match=r"pay of .* took longer than 1\.5 s"):
        hangs.call("pay", way="hang")
    until(lambda: _ended(number))
    assert until(lambda: answer(n=2), 60) == "pay 2"


def test_a_server_that_is_killed_in_mid_call_is_an_error_at_once(hub):
    killed = hub.mcp(PEER, timeout=30)
    number = int(killed.call("pay", way="pid"))
    failed = []

    def call():
        try:
            killed.call("pay", way="hang")
        except UnavailableError as error:
            failed.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    os.kill(number, 9)
    thread.join(20)
    assert not thread.is_alive()
    assert "Connection closed" in str(failed[0])


def test_a_tool_that_has_changed_is_not_called_until_it_is_accepted(tmp_path):
    with agentnb.connect(home=tmp_path) as hub:
        bank = hub.mcp(PEER)
        assert bank.call("pay", n=1) == "pay 1"
        assert bank.call("pay", way="change") == "changed"
        with pytest.raises(RejectedError, match="is another tool than at its first use") as caught:
            bank.call("pay", n=1)
        assert ".accept('pay')" in caught.value.hint
        assert bank.tools()[0].digest == "changed"
        assert bank.call("balance") == "balance None"
    # In another process of the home, too; and the tool as it was is what was pinned.
    with agentnb.connect(home=tmp_path) as hub:
        assert hub.mcp(PEER).call("pay", n=1) == "pay 1"
        other = hub.mcp(PEER, env={"PAY_DESCRIPTION": "Pay twice."})
        with pytest.raises(RejectedError, match="another tool"):
            other.call("pay", n=1)
        other.accept("pay")
        assert other.call("pay", n=1) == "pay 1"


def test_a_server_gets_few_variables_and_those_that_are_given(hub, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "not-for-a-server")
    bank = hub.mcp(PEER, env={"BANK_TOKEN": Secret("secret-of-the-bank")})
    found = json.loads(bank.call("pay", way="environment"))
    assert found["BANK_TOKEN"] == "secret-of-the-bank"
    assert "GITHUB_TOKEN" not in found
    assert hub.settings.redactor("secret-of-the-bank") != "secret-of-the-bank"


def test_a_call_is_a_step_of_an_agent_that_is_made_once(hub, bank):
    calls = []

    @hub.workflows.agent("payer", attempts=2, backoff=0.01)
    def payer(task, ctx):
        found = ctx.step("pay", bank.call, "pay", n=task.data)
        calls.append(found)
        if len(calls) == 1:
            raise RuntimeError("after the payment")
        return found

    hub.workflows.work(["payer"])
    try:
        made = hub.workflows.create("pay", [{"name": "payer", "data": 4}])
        assert hub.workflows.wait(made, 30).result == {"payer": "pay 4"}
        assert calls == ["pay 4", "pay 4"]
    finally:
        hub.workflows.stop()
    spans = [one for one in hub.tracer.recent() if one.service == "mcp" and one.name == "call"]
    assert [one.attributes["tool"] for one in spans][-1] == "pay"


@pytest.mark.parametrize("way", ["def", "async def"])
def test_a_tool_that_is_not_marked_as_reading_asks_a_person_and_is_called_once(tmp_path, way):
    with agentnb.connect(home=tmp_path) as hub:
        bank = hub.mcp(PEER)

        def pays(task, ctx):
            return [bank.step(ctx, "balance"), bank.step(ctx, "pay", n=task.data)]

        async def apays(task, ctx):
            return [await bank.astep(ctx, "balance"), await bank.astep(ctx, "pay", n=task.data)]

        hub.workflows.agent("payer", attempts=1)(pays if way == "def" else apays)
        hub.workflows.work(["payer"])
        made = {
            answer: hub.workflows.create("pay", [{"name": "payer", "data": int(answer)}])
            for answer in (True, False)
        }
        for answer, one in made.items():
            until(lambda one=one: one.task("payer").state == "parked")
            (wait,) = [row for row in hub.workflows.waits() if f'"n":{int(answer)}' in row.question]
            hub.workflows.answer(one, "payer", wait.name, answer)
        assert hub.workflows.wait(made[True], 30).result == {"payer": ["balance None", "pay 1"]}
        with pytest.raises(TaskFailed, match="was not approved"):
            hub.workflows.wait(made[False], 30)


def test_a_secret_that_a_server_writes_as_it_dies_is_masked_wherever_the_text_is_cut(hub):
    word = "canary-0123456789-0123456789"
    with pytest.raises(UnavailableError, match="xxx") as caught:
        hub.mcp(PEER, env={"PEER_WORD": word}).call("pay", way="die long")
    assert word[-6:] not in str(caught.value)


def test_short_words_that_a_server_is_given_are_not_masked_everywhere(hub):
    given = {"MODE": "tests", "SOME_TOKEN": "tok7", "WORD": Secret("wor7")}
    hub.mcp(PEER, env=given)
    assert hub.settings.redactor("two tests, tok7, wor7") == "two tests, ••••••, ••••••"


def test_a_question_shows_the_whole_call_and_no_sign_that_turns_the_text_round(bank):
    label, question = bank._labels("pay", {"n": 4, "note": "x" * 300, "to": "eve\u202e", "z": 1})
    assert '"to":"eve\\u202e","z":1}' in question
    assert label != bank._labels("pay", {"n": 5})[0]
    assert "3,0" in bank._labels("pay", {"note": "x" * 3000})[1]


@pytest.mark.parametrize("value", [object(), "\ud800"])
def test_arguments_that_are_not_json_are_refused_and_the_connection_stays(bank, value):
    pid = bank.call("pay", way="pid")
    with pytest.raises(UsageError, match="arguments of pay are not JSON"):
        bank.call("pay", n=value)
    assert bank.call("pay", way="pid") == pid


def test_a_server_that_ignores_the_end_of_its_input_does_not_outlive_the_hub(tmp_path):
    server = tmp_path / "server.py"
    server.write_text(
        "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    with agentnb.connect(home=tmp_path / "home") as hub:
        client = hub.mcp(
            f"stdio: sh -c 'cd {tmp_path} && exec {sys.executable} {server}'", timeout=1
        )
        with pytest.raises(DeadlineExceeded):
            client.tools()
    number = int((tmp_path / "pid").read_text())
    until(lambda: _ended(number))


def test_nothing_is_left_of_a_server_whose_own_program_keeps_its_output_open(tmp_path):
    note = tmp_path / "pid"
    keeper = f"setsid sleep 60 & echo $! > {note}; exec {PEER.removeprefix('stdio: ')}"
    with agentnb.connect(home=tmp_path / "home") as hub:
        assert hub.mcp(f"stdio: sh -c {shlex.quote(keeper)}", timeout=20).call("pay", n=1)
    try:
        gc.collect()  # pytest makes an error of a pipe or a process that was not closed
    finally:
        os.kill(int(note.read_text()), 9)


def test_a_server_that_is_not_there_is_an_error(hub):
    with pytest.raises(UnavailableError, match="cannot be used"):
        hub.mcp("stdio: /no/such/program").tools()
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{place.getsockname()[1]}/mcp"
        with pytest.raises((UnavailableError, RejectedError)):
            hub.mcp(url, timeout=10).tools()


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("python server.py", {}),
        ("stdio:", {}),
        ("stdio: 'open", {}),
        ("ftp://example.com", {}),
        (3, {}),
        (PEER, {"timeout": 0}),
        (PEER, {"max_bytes": 10}),
        (PEER, {"ask": 3}),
        (PEER, {"headers": {"A": "b"}}),
        ("http://localhost/mcp", {"env": {"A": "b"}}),
    ],
)
def test_what_is_no_server_is_refused(hub, target, options):
    with pytest.raises(UsageError):
        hub.mcp(target, **options)


def test_a_digest_is_of_description_and_schemas():
    tool = {"name": "pay", "inputSchema": {"type": "object"}}
    assert digest_of(tool) == digest_of(dict(reversed(tool.items())))
    assert digest_of(tool) != digest_of(tool | {"inputSchema": {"type": "object", "x": 1}})
