"""%api with streams, downloads, forms, headers, and words that are no URL."""

from __future__ import annotations

import signal
import threading

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from agentnb.core.errors import InvalidResponse, PathEscape, UnavailableError, UsageError
from agentnb.magics.api import streaming
from tests.core.api_server import begins, chunk, hangs, says, streams

SECRET = "hunter22hunter22"
ONE, TWO = b'data: {"n": 1}\n\n', b"event: end\ndata: two\n\n"


@pytest.fixture
def displayed(run, shell, monkeypatch):
    """Run a cell; return its result, and what its one output showed, one update after the other."""
    monkeypatch.setattr(InteractiveShell, "_instance", shell)

    def run_cell(source):
        with capture_output() as captured:
            try:
                result = run(source)
            except UnavailableError as error:
                result = error
        found = captured.outputs
        # One output, and updates of it: that is what makes a saved notebook have it once.
        assert [bool(one.update) for one in found] == [
            False,
            *[True] * (len(found) - 1),
        ] or not found
        return result, [one.data["text/plain"] for one in found]

    return run_cell


@pytest.fixture
def when_shown(monkeypatch):
    """Return what is set once something has been shown."""
    some, real = threading.Event(), streaming._Output.update

    def update(output):
        real(output)
        if output._live._shown:
            some.set()

    monkeypatch.setattr(streaming._Output, "update", update)
    return some


def test_a_stream_is_shown_as_it_comes_in_one_output(displayed, web, when_shown):

    def waits(handler):
        begins(handler)
        chunk(handler, ONE)
        assert when_shown.wait(20)
        chunk(handler, TWO)
        chunk(handler, b"")

    web.on("/x", waits)
    found, texts = displayed(f"%api get {web.url}/x --stream")
    assert texts == ['{"n": 1}', '{"n": 1}\nend: two']
    assert repr(found) == "2 events"
    assert [one.data for one in found] == ['{"n": 1}', "two"]


def test_a_post_streams_lines_of_json_and_quiet_shows_none(displayed, web):
    web.on("/x", streams(b'{"a": 1}\n{"a"', b": 2}\nplain", kind="application/x-ndjson"))
    found, texts = displayed(f'%%api post {web.url}/x --stream\n{{"stream": true}}')
    assert texts[-1] == '{"a": 1}\n{"a": 2}\nplain'
    assert repr(found) == "3 lines"
    assert web.asked[-1][3] == b'{"stream":true}'
    assert displayed(f"%api get {web.url}/x --stream --quiet") == (None, [])


def test_what_a_stream_shows_is_bounded_and_holds_no_secret(displayed, shell, web):
    shell.user_ns["hub"].settings.redactor.add(SECRET)
    lines = b"".join(b"data: %d\n\n" % n for n in range(1000))
    web.on("/x", streams(lines, f'data: {{"token": "abc-{SECRET}", "a": "<b>"}}\n\n'.encode()))
    found, texts = displayed(f"%api get {web.url}/x --stream")
    assert len(found) == 1001
    assert texts[-1].splitlines()[0] == "… 801 before these: the result has all"
    assert len(texts[-1].splitlines()) == 201
    assert "••••••" in texts[-1]
    assert SECRET not in "".join(texts)
    assert SECRET in found[-1].data
    web.on("/z", streams(f"data: it is {SECRET}\n\ndata: password=hunter23\n\n".encode()))
    assert displayed(f"%api get {web.url}/z --stream")[1][-1].splitlines() == [
        *("it is ••••••", "password=••••••"),
    ]
    web.on("/y", streams(b"data: " + b"x" * 500_000 + b"\n\n"))
    assert len(displayed(f"%api get {web.url}/y --stream")[1][-1]) < 2100


def test_the_name_of_an_event_hides_nothing_of_its_data(displayed, web):
    web.on("/x", streams(b'event: token\ndata: {"text": "a word"}\n\n'))
    assert displayed(f"%api get {web.url}/x --stream")[1] == ['token: {"text": "a word"}']
    web.on("/y", streams(b"event: token=hunter23\ndata: password=hunter23\n\n"))
    (shown,) = displayed(f"%api get {web.url}/y --stream")[1]
    assert "hunter23" not in shown


def test_what_came_before_an_error_is_shown(displayed, web):
    web.on("/x", streams(ONE, after=hangs))
    error, texts = displayed(f"%api get {web.url}/x --stream --idle 1")
    assert isinstance(error, UnavailableError)
    assert texts == ['{"n": 1}']


def test_ctrl_c_ends_a_stream_and_keeps_what_came(displayed, web, when_shown):
    web.on("/x", streams(ONE, after=hangs))

    def press():
        assert when_shown.wait(20)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    interrupt = threading.Thread(target=press)
    interrupt.start()
    found, texts = displayed(f"%api get {web.url}/x --stream")
    interrupt.join()
    assert repr(found) == "1 event, then interrupted"
    assert texts == ['{"n": 1}']


def test_options_that_a_stream_has_not_are_refused(run, web):
    for words in ("--stream --text", "--stream --to x", "--idle 3", "--to x --text"):
        with pytest.raises(UsageError, match="has no effect"):
            run(f"%api get {web.url}/x {words}")
    assert not web.asked


@pytest.mark.parametrize(
    "word", ["login.example.com/token", "localhost:8000/x", "users", "?page=2", "127.0.0.1", ":url"]
)
def test_a_word_that_is_no_path_goes_nowhere(run, shell, web, word):
    web.on("/x", says(200, 1))
    shell.user_ns["url"] = "login.example.com/token"
    run(f"%api get {web.url}/x")
    web.asked.clear()
    for line in (f"%api get {word}", f'%%api post {word}\n{{"password": "{SECRET}"}}'):
        with pytest.raises(UsageError, match="is neither a URL nor a path") as caught:
            run(line)
        assert "write https://" in caught.value.hint
    assert not web.asked


def test_a_path_may_hold_a_url(run, web):
    web.on("/x", says(200, 7))
    run(f"%api get {web.url}/x")
    assert run("%api get /x?next=http://an.example/y") == 7


def test_a_download_is_a_file_of_the_workspace(run, shell, web):
    web.on("/x", says(200, raw=b"1,2\n", kind="text/csv"))
    found = run(f"%api get {web.url}/x --to in/a.csv")
    assert repr(found) == "in/a.csv: 4 bytes"
    assert shell.user_ns["hub"].files.read_file("in/a.csv") == "1,2\n"
    with pytest.raises(PathEscape):
        run("%api get /x --to ../a.csv")
    web.on("/y", streams(b"x" * 1000))
    shell.user_ns["hub"].files.max_size = 100
    with pytest.raises(InvalidResponse):
        run("%api get /y --to y")


def test_a_form_and_files_of_the_workspace_are_sent(run, shell, web):
    shell.user_ns["hub"].files.write_file("in/a.csv", "1,2\n")
    shell.user_ns["fields"] = {"name": "Ada"}
    web.on("/x", says(200, 1))
    run(f'%api post {web.url}/x --form :fields --form {{"n": 2}}')
    assert web.asked[-1][3] == b"name=Ada&n=2"
    run(f"%api post {web.url}/x --form :fields --file data=in/a.csv --file more=in/a.csv")
    body = web.asked[-1][3]
    assert body.count(b'filename="a.csv"') == 2
    assert b'name="data"' in body
    assert b"1,2\n" in body
    with pytest.raises(PathEscape):
        run(f"%api post {web.url}/x --file data=../a.csv")
    with pytest.raises(UsageError, match="holds a secret"):
        run(f'%api post {web.url}/x --form {{"password": "{SECRET}"}}')


def test_head_shows_status_and_headers_without_their_secrets(run, web):
    web.on("/x", says(200, raw=b"", X_Rate="7", Set_Cookie=f"sid={SECRET}"))
    found = run(f"%api head {web.url}/x")
    assert web.asked[-1][0] == "HEAD"
    assert "200 OK" in repr(found)
    assert "x-rate" in repr(found)
    assert SECRET not in repr(found) + found._repr_html_()
    assert found.headers["set-cookie"] == f"sid={SECRET}"
