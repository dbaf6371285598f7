"""``agentnb mcp`` as the programs see it that start it, or that reach it over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from mcp import Client, StdioServerParameters

import agentnb
from agentnb.cli import main
from agentnb.core.loop import LoopThread
from agentnb.core.tools import READ
from agentnb.errors import RejectedError, UnavailableError
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)


class Session:
    """A client of the SDK, kept open in a loop of its own."""

    def __init__(self, server, **options):
        self.loop = LoopThread()
        self._opened = self.loop.submit(self._open(server, options))
        self._end, self.client = self._opened.result(60)

    async def _open(self, server, options):
        end, opened = asyncio.Event(), asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(server, options, opened, end))
        return end, await opened

    async def _keep(self, server, options, opened, end):
        try:
            async with Client(server, **options) as client:
                opened.set_result(client)
                await end.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)

    def call(self, name, **arguments):
        """Return the text of an answer, and whether it is an error."""
        found = self.loop.submit(self.client.call_tool(name, arguments)).result(60)
        return found.content[0].text, bool(found.is_error)

    def close(self):
        async def ended():
            self._end.set()
            with contextlib.suppress(Exception):
                await self._task

        self.loop.submit(ended()).result(120)
        self.loop.close()


def _variables():
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENTNB")}
    return kept | {"AGENTNB_MCP_TOKEN": "token-of-the-test"}


@contextlib.contextmanager
def _started(root, *words, **options):
    process = subprocess.Popen([sys.executable, *_words(root, *words)], **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in filter(None, (process.stdin, process.stdout, process.stderr)):
            pipe.close()


def _words(root, *words):
    return ["-m", "agentnb", "mcp", "--root", str(root), *words]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Make a project whose repository runs programs, wherever git lets it."""
    root = tmp_path_factory.mktemp("project")
    outside = root.parent / f"{root.name}-sibling"
    outside.mkdir()
    (outside / "secret").write_text("CANARY")

    def git(*words):
        subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True)

    git("init", "-q")
    git("config", "user.email", "a@b.c")
    git("config", "user.name", "Ada")
    (root / "a.py").write_text("a = 1\n")
    (root / ".gitignore").write_text(".agentnb\n")
    git("add", ".")
    git("commit", "-qm", "Begin")
    for key in ("core.fsmonitor", "diff.external", "filter.x.clean", "core.pager"):
        git("config", key, f"touch {outside}/ran; cat")
    (root / ".gitattributes").write_text("* filter=x\n")
    (root / "a.py").write_text("a = 2\n")
    (root / "link").symlink_to(outside)
    (root / ".env").write_text("PASSWORD=CANARY\n")
    os.mkfifo(root / "fifo")
    with (root / "large.txt").open("wb") as file:
        file.truncate(30_000_000)
    with agentnb.connect(start=root, home=root / ".agentnb") as hub:
        hub.db.execute("create table item (id integer primary key, name text)")
        hub.db.execute(
            "insert into item with recursive n(i) as (select 1 union all select i + 1 from n "
            "where i < 20000) select i, 'item ' || i from n"
        )
    return root


@pytest.fixture(scope="module")
def session(root):
    words = _words(root, "--write", "file_write", "--timeout", "3")
    server = StdioServerParameters(command=sys.executable, args=words, env=_variables())
    session = Session(server, mode="legacy")
    until(lambda: not session.call("db_schema")[1], 60)  # the first call imports what it needs
    yield session
    session.close()


_ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
HOSTILE = {
    "an injection in a table's name": ("db_schema", {"table": "item); --"}, True),
    "drop": ("db_query", {"sql": "drop table item"}, True),
    "two statements": ("db_query", {"sql": "select 1; drop table item"}, True),
    "an extension": ("db_query", {"sql": "select load_extension('x')"}, True),
    "another file": ("db_query", {"sql": "attach '{outside}/other.sqlite' as o"}, True),
    "a copy": ("db_query", {"sql": "vacuum into '{outside}/copy.sqlite'"}, True),
    "a pragma": ("db_query", {"sql": "pragma writable_schema = 1"}, True),
    "tables of agentnb": ("db_query", {"sql": "select * from agentnb_task"}, True),
    "many rows": ("db_query", {"sql": "select * from item", "limit": 1000}, False),
    "too many rows": ("db_query", {"sql": "select * from item", "limit": 300_000}, True),
    "a large value": ("db_query", {"sql": "select zeroblob(900000000)"}, True),
    "a query without end": ("db_query", {"sql": _ENDLESS}, True),
    "a parent folder": ("file_read", {"path": "../{sibling}/secret"}, True),
    "a sibling": ("file_read", {"path": "{outside}/secret"}, True),
    "a link out": ("file_read", {"path": "link/secret"}, True),
    "settings": ("file_read", {"path": ".env"}, True),
    "the home": ("file_list", {"path": ".agentnb"}, True),
    "a large file": ("file_read", {"path": "large.txt"}, True),
    "a pipe": ("file_read", {"path": "fifo"}, True),
    "git status": ("git_status", {}, False),
    "git diff": ("git_diff", {}, False),
    "git log": ("git_log", {}, False),
    "git show": ("git_show", {}, False),
    "an option of git": ("git_show", {"revision": "--output={outside}/out"}, True),
    "an option of git log": ("git_log", {"path": "--output={outside}/out"}, True),
    "no such tool": ("workflow_answer", {}, True),
    "approval": ("workflow_approve", {"workflow": "x"}, True),
    "a wrong argument": ("file_read", {"path": ["a"]}, True),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_call_gets_nothing_out_and_the_next_one_is_answered(session, root, name):
    outside = root.parent / f"{root.name}-sibling"
    tool, arguments, is_error = HOSTILE[name]
    given = {
        key: value.replace("{outside}", str(outside)).replace("{sibling}", outside.name)
        if isinstance(value, str)
        else value
        for key, value in arguments.items()
    }
    text, failed = session.call(tool, **given)
    assert failed == is_error, text
    assert len(text) < 61_000
    assert "CANARY" not in text
    assert [one.name for one in outside.iterdir()] == ["secret"]
    count, failed = session.call("db_query", sql="select count(*) as n from item")
    assert not failed, count
    assert json.loads(count) == {"rows": [{"n": 20_000}]}


def test_a_write_waits_for_a_person_and_is_done_once_by_the_server(session, root):
    text, failed = session.call("file_write", path="made.txt", text="text")
    asked = json.loads(text)
    assert not failed
    assert asked == {"state": "waits for approval", "workflow": asked["workflow"]}
    shown = json.loads(session.call("workflow_show", workflow=asked["workflow"])[0])
    assert shown["tasks"][0]["state"] == "approval"
    assert not (root / "made.txt").exists()
    with agentnb.connect(start=root, home=root / ".agentnb") as hub:
        hub.workflows.approve(asked["workflow"], "file_write", by="ada")
        done = hub.workflows.wait(asked["workflow"], 60)
        assert done.state == "completed"
        assert done.task("file_write").attempt == 1
        calls = hub.events.history("mcp.called", 1000)
    assert (root / "made.txt").read_text() == "text"
    made = [one.data for one in calls if one.data["tool"] == "file_write"]
    assert [(one["caller"], one["outcome"]) for one in made] == [("mcp", "ok")]
    assert {"tool", "arguments", "caller", "ms", "outcome"} == set(made[0])


def test_the_standard_output_has_the_protocol_alone_and_its_end_ends_the_server(root):
    first = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    call = {"method": "tools/call", "params": {"name": "file_list", "arguments": {}}}
    lines = [first, {"method": "notifications/initialized"}, {"id": 2} | call]
    text = "\n".join(["no json", *(json.dumps({"jsonrpc": "2.0"} | one) for one in lines), ""])
    with _started(
        root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_variables(),
    ) as process:
        process.stdin.write(text.encode())
        process.stdin.flush()
        answers = {}
        while 2 not in answers:
            answer = json.loads(process.stdout.readline())
            answers[answer.get("id")] = answer
        process.stdin.close()
        rest = process.stdout.read()
        assert process.wait(120) == 0, process.stderr.read()
    assert answers[1]["result"]["serverInfo"]["name"] == "agentnb"
    assert "a.py" in answers[2]["result"]["content"][0]["text"]
    assert rest == b""


def _status(url, method="POST", body=None, **headers):
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    try:
        connection.putrequest(method, place.path, skip_host="Host" in headers)
        data = json.dumps(body or {}).encode()
        given = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "Content-Length": str(len(data)),
        }
        for name, value in (given | headers).items():
            connection.putheader(name, value)
        connection.endheaders(data)
        return connection.getresponse().status
    finally:
        connection.close()


def test_over_http_a_token_is_needed_and_other_hosts_and_origins_are_refused(root):
    variables = {**_variables()}
    del variables["AGENTNB_MCP_TOKEN"]
    with _started(
        *(root, "--http", "--port", "0"),
        stdout=subprocess.PIPE,
        env=variables,
        text=True,
    ) as process:
        url = re.search(r"http://127\.0\.0\.1:\d+/mcp", process.stdout.readline()).group()
        token = process.stdout.readline().strip()
        assert (root / ".agentnb" / "mcp" / "token").read_text() == token
        good = {"Authorization": f"Bearer {token}"}
        host = urlsplit(url).netloc
        assert _status(url) == 401
        for wrong in ("Bearer no", "Bearer", f"Basic {token}", token, f"Bearer {token} more"):
            assert _status(url, Authorization=wrong) == 401
        assert _status(url, Host="evil.example", **good) == 421
        assert _status(url, Host=host, Origin="http://evil.example", **good) == 403
        begin = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            },
        }
        assert _status(url, body=begin, Host=host, **good) == 200
        for scheme in ("bearer ", "BEARER  "):  # its case says nothing (RFC 9110)
            same = {"Authorization": f"{scheme}{token}"}
            assert _status(url, body=begin, Host=host, **same) == 200
        with agentnb.connect(start=root, home=root / ".agentnb") as hub:
            client = hub.mcp(url, headers=good, timeout=10)
            assert "a.py" in client.call("file_list")
            with pytest.raises(RejectedError, match="leads out"):
                client.call("file_read", path="../x")
            with pytest.raises(UnavailableError, match="HTTP 401 Unauthorized") as caught:
                hub.mcp(url, timeout=10).describe()
            assert "a token that it accepts, in headers=" in caught.value.hint
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) in {0, -signal.SIGTERM}


def test_the_configuration_of_each_host_has_the_path_of_the_interpreter(root, capsys, monkeypatch):
    monkeypatch.chdir(root)
    for host, key in {"claude": "mcpServers", "vscode": "servers", "cursor": "mcpServers"}.items():
        assert main(["mcp", "--config", host, "--tools", "db", "--write", "db_execute"]) == 0
        server = json.loads(capsys.readouterr().out)[key]["agentnb"]
        assert server["command"] == sys.executable
        assert server["args"] == [*_words(root), "--tools", "db", "--write", "db_execute"]
        assert server.get("type") == ("stdio" if host == "vscode" else None)
        assert main(["mcp", "--config", host, "--http"]) == 0
        text = capsys.readouterr().out
        assert json.loads(text)[key]["agentnb"]["url"] == "http://127.0.0.1:8765/mcp"
        assert "Bearer $" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tools", "db,flies"], "tools must be of"),
        (["--write", "approve"], "write must be of"),
        (["--root", "/no/such/folder"], "root must be a folder"),
        (["--timeout", "0"], "timeout"),
        (["--config", "emacs"], "config"),
        (["--port", "99999"], "port"),
    ],
)
def test_a_wrong_option_is_named(words, message, capsys):
    assert main(["mcp", *words]) == 2
    assert message in capsys.readouterr().err


def test_the_groups_of_tools_are_those_of_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["mcp", "--help"])
    text = capsys.readouterr().out
    assert all(group in text for group in READ)
