"""%ws on a real server in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import NotFoundError, RejectedError, UnavailableError, UsageError

PEER = Path(__file__).parents[1] / "core" / "websocket_peer.py"


@pytest.fixture(scope="module")
def server():
    """Return the address of a server that sends back what it is sent."""
    process = subprocess.Popen(
        [sys.executable, str(PEER)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    yield f"ws://127.0.0.1:{int(process.stdout.readline())}"
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def url(server, run):
    """Return a URL that is connected to."""
    assert str(run(f"%ws connect {server}/")) == f"connected to {server}/"
    return f"{server}/"


def test_a_bare_ws_says_what_to_type_and_then_how_things_are(run, shown, server):
    assert "%ws connect URL" in shown("%ws")
    run(f"%ws connect {server}/")
    [row] = run("%ws")
    assert (row.url, row.state, row.connects) == (f"{server}/", "connected", 1)
    assert run("%ws list").columns == run("%ws").columns


@pytest.mark.usefixtures("url")
def test_what_is_sent_is_json_text_or_a_name(run, shell, shown):
    shell.user_ns["report"] = {"rows": 3}
    for written in ('{"a": [1]}', "7", "hello", '"7"', "[1]", ":report"):
        assert str(run(f"%ws send {written}")) == "sent"
    run('%%ws send\n{"in": "the cell"}')
    text = shown("found = %ws tail --count 7")
    assert text.splitlines() == [
        *('{"a": [1]}', "7", '"hello"', '"7"', "[1]", '{"rows": 3}', '{"in": "the cell"}')
    ]
    assert list(shell.user_ns["found"])[-2:] == [{"rows": 3}, {"in": "the cell"}]
    assert list(shell.user_ns["found"].df()["rows"])[-2] == 3


def test_tail_shows_what_waits_and_what_comes_and_ends_in_its_time(run, shell, url, shown):
    client = shell.user_ns["hub"].websocket(url)
    run("%ws send first")
    timer = threading.Timer(0.3, lambda: client.send("second"))
    timer.start()
    assert shown("%ws tail --count 2 --timeout 10").splitlines()[:2] == ['"first"', '"second"']
    begun = time.monotonic()
    assert "0 messages" in shown("%ws tail --timeout 0.1")
    assert time.monotonic() - begun < 5
    assert run("%ws tail --timeout 0.1 --quiet") is None


def test_tail_counts_what_is_not_json(run, shell, url):
    client = shell.user_ns["hub"].websocket(url)
    for text in (b"plain", b"", b'{"a": 1}', b"more"):
        client._sender.send_encoded(text, text=True)
    found = run("%ws tail --count 1")
    assert list(found) == [{"a": 1}]
    others = found.not_json + run("%ws tail --timeout 0.5").not_json
    assert others == 3  # each is counted once
    client._sender.send_encoded(b"plain", text=True)
    assert (
        repr(run("%ws tail --timeout 0.5"))
        == "0 messages and 1 that is not JSON (%ws connect URL --text)"
    )


def test_a_server_of_plain_text_can_be_used(run, shell, shown, server):
    run(f"%ws connect {server}/plain --text")
    shell.user_ns.update(text="bound", raw=b"\x00\x01")
    for written in ("hello", '"two words"', '{"a": [1]}', "7", ":text", ":raw"):
        run(f"%ws send {written}")
    run("%%ws send\ntwo\nlines\n")
    assert shown("found = %ws tail --count 7").splitlines() == [
        *("hello", "two words", '{"a": [1]}', "7", "bound", "b'\\x00\\x01'", "two\\nlines"),
    ]
    assert shell.user_ns["found"][-2:] == [b"\x00\x01", "two\nlines"]
    run("%ws send token=hunter22hunter22")
    assert "hunter22" not in shown("%ws tail --count 1")
    run("%ws close")


@pytest.mark.usefixtures("url")
def test_what_tail_shows_holds_no_secret_and_what_it_returns_does(run, shell, shown):
    message = {"access_token": "hunter22hunter22", "said": "password=hunter22hunter22"}
    shell.user_ns["message"] = message
    run("%ws send :message --quiet")
    text = shown("found = %ws tail --count 1 --timeout 5")
    assert "••••••" in text
    assert "hunter22" not in text
    assert shell.user_ns["found"] == [message]


def test_what_comes_while_other_cells_run_does_not_show_in_them(shell, url, shown):
    client = shell.user_ns["hub"].websocket(url)
    client.send("later")
    shell.user_ns["client"] = client
    assert shown("while client.stats()['received'] < 1: pass\nprint('mine')") == "mine\n"
    assert '"later"' in shown("%ws tail -n 1")


def test_one_is_closed_and_forgotten(run, shown, server, url):
    run(f"%ws connect {server}/other")
    run("%ws send to-the-last-one")
    assert run("%ws tail -n 1") == ["to-the-last-one"]
    run(f"%ws send first -c {url}")
    assert str(run(f"%ws close {url}")) == f"{url}: closed"
    assert [row.url for row in run("%ws")] == [f"{server}/other"]
    with pytest.raises(NotFoundError) as error:
        run(f"%ws close {server}/othr")
    assert error.value.hint == f"did you mean {server}/other?"
    assert "closed" in str(run("%ws close --all"))
    assert "no WebSocket was open" in shown("%ws close --all")


def test_which_one_is_asked_where_it_is_not_clear(run, shell, server):
    with pytest.raises(UsageError, match="there is none"):
        run("%ws send 1")
    for path in ("a", "b"):
        shell.user_ns["hub"].websocket(f"{server}/{path}")
    with pytest.raises(UsageError, match="there are several"):
        run("%ws send 1")
    with pytest.raises(UnavailableError, match="nothing was sent"):
        run(f"%ws send 1 --client {server}/a")


def test_a_token_comes_from_a_variable_and_never_from_the_line(run, shown, server, monkeypatch):
    monkeypatch.setenv("PEER_TOKEN", "hunter22hunter22")
    monkeypatch.setenv("PEER_URL", f"{server}/headers?token=hunter22hunter22")
    run(f"%ws connect {server}/headers --env PEER_TOKEN")
    [headers] = run("%ws tail -n 1")
    assert headers["Authorization"] == "Bearer hunter22hunter22"
    text = shown("%ws connect --env PEER_URL") + shown("%ws")
    assert f"connected to {server}/headers?token=••••••" in text
    assert "hunter22" not in text
    for line in (f"{server}/?token=abc", "ws://ada:s3cret@localhost/"):
        with pytest.raises(UsageError, match="saved with the notebook"):
            run(f"%ws connect {line}")


def test_a_server_that_is_away_or_refuses_says_so(run, shown, server):
    assert "tried again" in shown("%ws connect ws://127.0.0.1:1/ --reconnect 30")
    with pytest.raises(UnavailableError, match="nothing was sent"):
        run("%ws send 1")
    with pytest.raises(RejectedError, match="401") as refused:
        run(f"%ws connect {server}/status?code=401")
    assert "%ws connect URL --env VARIABLE" in refused.value.hint
    with pytest.raises(UnavailableError, match="is refused"):
        run("%ws tail")
    with pytest.raises(NotFoundError, match="no server of events runs"):
        run("%ws connect")


@pytest.mark.usefixtures("url")
def test_wrong_lines_are_short_errors(shown):
    assert "one message, on the line or in the cell" in shown("%ws send")
    assert "is not JSON" in shown("%%ws send\n{")
    assert "needs a verb" in shown("%%ws\n1")
    assert "did you mean connect?" in shown("%ws conect")
    assert "takes no body" in shown("%%ws tail\n1")


def test_the_workspaces_own_server_is_found(run, project):
    process = subprocess.Popen(
        [sys.executable, "-m", "agentnb.cli", "serve", "--port", "0"],
        cwd=project,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        while not process.stdout.readline().startswith("Ctrl-C"):
            assert process.poll() is None
        run("%ws connect")
        run('%ws send {"type": "subscribe", "channels": ["workflows"]}')
        assert run("%ws tail -n 1")[0]["type"] == "subscribed"
        run('%events publish workflow.created {"tasks": 3}')
        assert run("%ws tail -n 1")[0]["data"] == {"tasks": 3}
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def test_tab_offers_verbs_options_and_urls(shell, url):
    def offered(text):
        with provisionalcompleter():
            return [one.text for one in shell.Completer.completions(text, len(text))]

    assert "connect" in offered("%ws co")
    assert "--timeout" in offered("%ws tail --ti")
    assert [one for one in offered("%ws close ws") if url.endswith(one)]
    assert "PATH" in offered("%ws connect --env PAT")
    shell.user_ns["message_of_mine"] = 1
    assert "message_of_mine" in [one.lstrip(":") for one in offered("%ws send :message_of")]


def test_unloading_and_resetting_close_everything(run, shell, url):
    client = shell.user_ns["hub"].websocket(url)
    run("%agentnb reset")
    assert client.state == "closed"
    assert len(run("%ws")) == 0


def test_help_names_every_verb(shown):
    text = shown("%ws help")
    for verb in ("connect", "send", "tail", "list", "close"):
        assert f"  {verb}" in text
