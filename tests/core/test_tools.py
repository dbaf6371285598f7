"""Tools for agents: what they answer, what they leave out, and what they refuse."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess

import pytest

import agentnb
from agentnb.core.tools import READ, WRITE
from agentnb.errors import (
    AgentnbError,
    ConfigError,
    NotFoundError,
    PathEscape,
    QueryRejected,
    RejectedError,
    UsageError,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("tools")


@pytest.fixture(scope="module")
def hub(home):
    with agentnb.connect(home=home / "home", workspace=home / "ws", start=home) as hub:
        hub.db.execute("create table item (id integer primary key, name text, password text)")
        hub.db.execute(
            "insert into item (name, password) values (:n, 'hunter22')",
            [{"n": f"item {n}"} for n in range(300)],
        )
        yield hub


@pytest.fixture(scope="module")
def tools(hub):
    return {one.name: one for one in hub.tools(write=WRITE)}


def test_each_tool_says_what_it_does_and_what_it_takes(tools):
    names = [name for group in READ.values() for name in group]
    assert [*tools] == [*names, *WRITE]
    for name, one in tools.items():
        assert one.__name__ == name
        assert one.read_only == (name not in WRITE)
        assert one.description.endswith(".")
        parameters = inspect.signature(one).parameters
        assert [*one.schema["properties"]] == [*parameters]
        assert all(about["description"] for about in one.schema["properties"].values()), name


def test_rows_that_were_left_out_are_counted(tools):
    found = tools["db_query"]("select * from item order by id", limit=2)
    assert found["rows"][0] == {"id": 1, "name": "item 0", "password": "••••••"}
    assert "more than these 2" in found["left_out"]
    assert "left_out" not in tools["db_query"]("select * from item where id = :i", {"i": 1})
    wide = tools["db_query"]("select id, hex(zeroblob(1000)) as x from item", limit=300)
    assert len(wide["rows"]) < 60
    assert f"{300 - len(wide['rows'])} of 300" in wide["left_out"]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("drop table item", QueryRejected),
        ("insert into item (name) values ('x')", QueryRejected),
        ("select 1; drop table item", UsageError),
        ("attach database '{}/other.sqlite' as o", QueryRejected),
        ("vacuum into '{}/copy.sqlite'", QueryRejected),
        ("select load_extension('x')", AgentnbError),
        ("pragma writable_schema = 1", QueryRejected),
        ("select zeroblob(30000000)", AgentnbError),
        ("select * from agentnb_workflow", AgentnbError),
        ('select count(*) from main."AGENTNB_workflow"', AgentnbError),
    ],
)
def test_hostile_sql_is_refused_and_leaves_no_file(tools, hub, home, sql, error):
    _ = hub.workflows  # whose tables are in the same database
    hub.workflows.list()
    before = sorted(home.iterdir())
    with pytest.raises(error):
        tools["db_query"](sql.format(home))
    assert sorted(home.iterdir()) == before
    assert tools["db_query"]("select count(*) as n from item")["rows"] == [{"n": 300}]


def test_the_tables_of_agentnb_are_hidden(tools, hub):
    hub.workflows.list()
    assert [row["name"] for row in tools["db_schema"]()["tables"]] == ["item"]
    with pytest.raises(NotFoundError):
        tools["db_schema"]("users); --")


def test_a_database_in_memory_is_refused_with_a_remedy(tmp_path):
    with agentnb.connect(home=tmp_path, database_url="sqlite://") as hub:
        (schema, _) = hub.tools("db")
        with pytest.raises(ConfigError, match="in memory"):
            schema()


def test_a_file_is_read_in_pages_that_cut_no_character(tools, hub):
    text = "aé漢😀" * 5
    hub.files.write_file("page.txt", text)
    offset, read = 0, ""
    for _ in range(100):
        page = tools["file_read"]("page.txt", offset=offset, limit=7)
        body, _, note = page.partition("\n[the file goes on: ")
        read += body
        if not note:
            break
        offset = int(note.rpartition("=")[2].rstrip(")]"))
    assert read == text


def test_files_outside_of_the_root_and_files_that_are_no_text_are_refused(tools, home):
    (home / "ws-sibling").mkdir()
    (home / "ws-sibling" / "secret").write_text("secret")
    (home / "ws" / "link").symlink_to(home / "ws-sibling")
    for path in ("../ws-sibling/secret", str(home / "ws-sibling" / "secret"), "link/secret"):
        with pytest.raises(PathEscape):
            tools["file_read"](path)
    os.mkfifo(home / "ws" / "fifo")
    (home / "ws" / "image").write_bytes(b"\x89PNG\0\xff")
    for path in ("fifo", "image"):
        with pytest.raises(UsageError):
            tools["file_read"](path)
    with pytest.raises(PathEscape):
        tools["file_write"]("../x", "x")


def test_secrets_are_masked_in_what_a_tool_answers(tools, hub):
    hub.settings.redactor.add("s3cr3t-of-the-settings")
    hub.files.write_file("notes.txt", "key: s3cr3t-of-the-settings, url redis://u:pw12345@h")
    text = tools["file_read"]("notes.txt")
    assert "s3cr3t" not in text
    assert "pw12345" not in text


@pytest.mark.parametrize("size", [4, 7, 30, 64])
def test_a_secret_cannot_be_read_in_parts(tools, hub, size):
    hub.settings.redactor.add("canary-of-9-parts")
    text = "some words\nkey canary-of-9-parts, and\npassword = sesame99\nmore words é\n" * 2
    hub.files.write_file("parts.txt", text)
    pages = [
        tools["file_read"]("parts.txt", offset=at, limit=size)
        for at in range(0, len(text.encode()), size)
    ]
    pages = [one.partition("\n[the file goes on")[0] for one in pages]
    read = "".join(pages)
    assert "some words" in read
    assert "more words" in read
    hidden = "canary-of-9-parts", "sesame99"
    assert not [page for page in pages for word in hidden if len(page) > 2 and page.strip() in word]
    assert not [one for one in ("canary", "-of-9", "parts", "sesame") if one in read]


def test_git_reads_a_repository_and_runs_nothing_of_it(tmp_path):
    root = tmp_path / "repo"
    root.mkdir()
    mark = tmp_path / "ran"

    def git(*words):
        subprocess.run(["git", "-C", str(root), *words], check=True, capture_output=True)

    git("init", "-q")
    git("config", "user.email", "a@b.c")
    git("config", "user.name", "Ada")
    (root / "a.py").write_text("a = 1\n")
    git("add", ".")
    git("commit", "-qm", "Begin")
    for key in ("core.fsmonitor", "diff.external", "filter.x.clean"):
        git("config", key, f"touch {mark}; cat")
    (root / ".gitattributes").write_text("* filter=x\n")
    (root / "a.py").write_text("a = 2\n")
    with agentnb.connect(home=tmp_path / "home") as hub:
        tools = {one.name: one for one in hub.tools("git", root=root)}
        assert tools["git_log"]()["commits"][0]["subject"] == "Begin"
        assert {"state": "changed", "path": "a.py"}.items() <= tools["git_status"]()["files"][
            0
        ].items()
        assert "+a = 2" in tools["git_diff"]()
        assert tools["git_diff"](staged=True) == "nothing has changed"
        assert "+a = 1" in tools["git_show"]()
    assert not mark.exists()


def test_events_queues_and_workflows_are_read(tools, hub):
    hub.events.publish("order.made", {"n": 1})
    hub.queue("mail").add({"to": "ada"})
    assert tools["events_history"]("order.*")["events"][-1]["data"] == {"n": 1}
    assert [one["queue"] for one in tools["queue_list"]()["queues"]] == ["mail"]
    (job,) = tools["queue_jobs"]("mail")["jobs"]
    assert "ada" in job["data"]
    assert tools["queue_logs"](job["id"]) == "the job has logged nothing"
    with pytest.raises(NotFoundError):
        tools["queue_jobs"]("mial")
    assert hub.queues.names() == ["mail"]


def test_a_write_tool_changes_nothing_until_a_person_approves_and_then_once(tools, hub):
    asked = tools["db_execute"]("delete from item where id = :i", {"i": 300})
    assert asked == {"state": "waits for approval", "workflow": asked["workflow"]}
    refused = tools["file_write"]("new.txt", "text")
    hub.workflows.work()
    try:
        assert hub.db.query("select count(*) from item").scalar() == 300
        hub.workflows.reject(refused["workflow"], "file_write")
        hub.workflows.approve(asked["workflow"], "db_execute")
        hub.workflows.wait(asked["workflow"], 30)
        (task,) = tools["workflow_show"](asked["workflow"])["tasks"]
        assert (task["state"], task["result"]) == ("completed", {"rows": 1})
        with pytest.raises(RejectedError):
            hub.workflows.approve(asked["workflow"], "db_execute")
        assert hub.db.query("select count(*) from item").scalar() == 299
        assert not hub.files.exists("new.txt")
    finally:
        hub.workflows.stop()


def test_each_write_tool_does_what_was_approved(tmp_path):
    root = tmp_path / "repo"
    root.mkdir()
    with agentnb.connect(home=tmp_path / "home", workspace=root) as hub:
        hub.repo(".").initialize()
        hub.queue("mail").add(1)
        hub.workflows.agent("greet")(lambda task: f"Hello, {task.data}!")
        tools = {one.name: one for one in hub.tools("workflow", write=WRITE)}
        hub.workflows.work()

        def approved(name, *arguments):
            asked = tools[name](*arguments)
            hub.workflows.approve(asked["workflow"], name)
            done = hub.workflows.wait(asked["workflow"], 30)
            assert done.state == "completed", done.task(name).error
            return done.result[name]

        assert approved("file_write", "a.txt", "text") == {"written": "a.txt"}
        assert hub.files.read_file("a.txt") == "text"
        commit = approved("git_commit", "Begin", ["a.txt"])["commit"]
        assert hub.repo(".").log()[0].sha == commit
        job = approved("queue_add", "mail", {"n": 2})["job"]
        assert hub.queue("mail").get(job).data == {"n": 2}
        made = approved("workflow_create", "greeting", [{"name": "greet", "data": "Ada"}])
        assert hub.workflows.wait(made["workflow"], 30).result == {"greet": "Hello, Ada!"}
        with pytest.raises(UsageError, match="performs tools"):
            tools["workflow_create"]("x", [{"name": "x", "agent": "tool.db_execute"}])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tools": "db,flies"}, "tools must be of"),
        ({"tools": 3}, "tools must be names"),
        ({"write": "approve"}, "write must be of"),
        ({"write": ["workflow_answer"]}, "write must be of"),
        ({"root": "/no/such/folder"}, "root must be a folder"),
        ({"timeout": 0}, "timeout must be"),
    ],
)
def test_what_is_no_policy_is_refused(hub, given, message):
    with pytest.raises(UsageError, match=message):
        hub.tools(**given)


def test_arguments_of_another_type_are_refused(tools):
    with pytest.raises(UsageError, match="Expected `str`"):
        tools["file_read"](path=3)
    with pytest.raises(UsageError, match=r"<= 1000"):
        tools["db_query"]("select 1", limit=5000)
    with pytest.raises(UsageError, match="no argument 'pth'") as caught:
        tools["file_read"](pth="x")
    assert "path" in caught.value.hint
    with pytest.raises(UsageError, match=r">= 4"):
        tools["file_read"]("x", limit=1)  # a part of a character, which would never go on


def test_an_agent_of_pydantic_ai_takes_the_tools_as_they_are(hub):
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    hub.files.write_file("notes.txt", "text")
    tools = [one for one in hub.tools("files") if one.name == "file_list"]
    model = TestModel()
    bot = Agent(model, tools=tools)
    assert "notes.txt" in asyncio.run(bot.run("look")).output
    (shown,) = model.last_model_request_parameters.function_tools
    assert (shown.name, shown.description.splitlines()[0]) == (
        "file_list",
        "List a folder: name, kind, size and time of each entry.",
    )
    assert [*shown.parameters_json_schema["properties"]] == ["path", "pattern"]
