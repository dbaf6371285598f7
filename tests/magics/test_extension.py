from __future__ import annotations

import json
import os
import threading
from queue import Empty

import pytest
from jupyter_client.manager import KernelManager

from agentnb.core.errors import UsageError
from agentnb.core.hub import Hub
from agentnb.core.trace import current
from agentnb.magics import find
from agentnb.magics.extension import MAGICS


def state_of(shell):
    """Return everything that an extension could leave behind in a shell."""
    magics = {kind: set(names) for kind, names in shell.magics_manager.magics.items()}
    callbacks = {name: list(found) for name, found in shell.events.callbacks.items()}
    return {
        "magics": magics,
        "registry": set(shell.magics_manager.registry) - {"ExtensionMagics"},
        "callbacks": callbacks,
        "matchers": list(shell.Completer.custom_matchers),
        "handler": (shell.custom_exceptions, shell.CustomTB),
        "hidden": {name for name in shell.user_ns_hidden if name == "hub"},
        "hub": "hub" in shell.user_ns,
    }


def test_loading_brings_the_magics_and_the_hub(shell):
    assert {"db", "agentnb"} <= set(shell.magics_manager.magics["line"])
    assert "db" in shell.magics_manager.magics["cell"]
    assert isinstance(shell.user_ns["hub"], Hub)
    assert repr(shell.user_ns["hub"]) == "Hub(nothing opened yet)"


def test_loading_twice_changes_nothing(shell, capsys):
    before, hub = state_of(shell), shell.user_ns["hub"]
    shell.run_line_magic("load_ext", "agentnb")
    assert "already loaded" in capsys.readouterr().out
    import agentnb

    agentnb.load_ipython_extension(shell)
    assert state_of(shell) == before
    assert shell.user_ns["hub"] is hub


def test_unloading_leaves_no_trace(bare_shell):
    before = state_of(bare_shell)
    bare_shell.run_line_magic("load_ext", "agentnb")
    hub = bare_shell.user_ns["hub"]
    bare_shell.run_cell("%agentnb debug on\n%db begin\n%db create table t (a)")
    bare_shell.run_line_magic("unload_ext", "agentnb")
    assert state_of(bare_shell) == before
    assert hub.closed


def test_unloading_rolls_back_what_is_open(bare_shell, project):
    bare_shell.run_line_magic("load_ext", "agentnb")
    bare_shell.run_cell("%db create table t (a)\n%db begin\n%db insert into t values (1)")
    bare_shell.run_line_magic("unload_ext", "agentnb")
    with Hub(start=project) as hub:
        hub.db.execute("insert into t values (2)")
        assert hub.db.query("select a from t").column("a") == [2]


def test_reloading_gives_a_new_hub(shell):
    former = shell.user_ns["hub"]
    shell.run_line_magic("reload_ext", "agentnb")
    assert former.closed
    assert shell.user_ns["hub"] is not former
    assert shell.run_cell("%db select 1").success


@pytest.mark.parametrize("theirs", ["a string", None])
def test_a_hub_of_the_users_own_is_left_alone(bare_shell, capsys, theirs):
    theirs = theirs or Hub()
    bare_shell.user_ns["hub"] = theirs
    bare_shell.run_line_magic("load_ext", "agentnb")
    assert bare_shell.user_ns["hub"] is theirs
    said = capsys.readouterr().err
    expression = said.split("`")[3]
    assert isinstance(bare_shell.ev(expression), Hub)
    assert bare_shell.run_cell("%db select 1").success
    bare_shell.run_cell("%agentnb reset")
    bare_shell.run_line_magic("unload_ext", "agentnb")
    assert bare_shell.user_ns["hub"] is theirs
    if isinstance(theirs, Hub):
        assert not theirs.closed
        theirs.close()


def test_the_hub_is_not_listed_as_a_variable_of_the_users(shell, capsys):
    shell.run_cell("mine = 1")
    capsys.readouterr()
    shell.run_cell("%who")
    assert capsys.readouterr().out.split() == ["mine"]


def test_each_cell_is_a_trace_and_its_spans_share_it(shell):
    shell.run_cell("%db select 1\n%db select 2\nhub.db.query('select 3')")
    first = current().trace_id
    shell.run_cell("%db select 4")
    second = current().trace_id
    assert first != second
    spans = shell.user_ns["hub"].tracer.recent()
    by_trace = {trace: [s.name for s in spans if s.trace_id == trace] for trace in (first, second)}
    assert by_trace == {
        first: ["connect", "query", "query", "query", "cell"],
        second: ["query", "cell"],
    }


def test_two_shells_do_not_share_a_hub(shell, project):  # noqa: ARG001 - both live in it
    other = type(shell)(config=shell.config)
    other.run_line_magic("load_ext", "agentnb")
    assert other.user_ns["hub"] is not shell.user_ns["hub"]
    other.run_line_magic("unload_ext", "agentnb")
    assert shell.run_cell("%db select 1").success


# In a kernel, as a frontend sees it


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project with a space")
    (folder / ".agentnb").mkdir(mode=0o700)
    kept = {k: v for k, v in os.environ.items() if k != "AGENTNB_HOME"}
    manager = KernelManager(kernel_name="python3")
    env = kept | {"IPYTHONDIR": str(folder / ".ipython"), "DATABASE_URL": "", "REDIS_URL": ""}
    manager.start_kernel(cwd=str(folder), env=env)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()


@pytest.fixture
def execute(kernel):
    """Run a cell in the kernel and return the messages that a frontend gets."""

    def run_cell(source):
        sent = kernel.execute(source)
        messages = []
        while True:
            try:
                message = kernel.get_iopub_msg(timeout=60)
            except Empty:
                pytest.fail(f"the kernel did not answer to {source!r}")
            if message["parent_header"].get("msg_id") != sent:
                continue
            content = message["content"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return messages
            messages.append((message["msg_type"], content))

    run_cell("%load_ext agentnb")
    return run_cell


def only(messages, kind):
    found = [content for name, content in messages if name == kind]
    if kind == "stream" and len({each["name"] for each in found}) == 1:  # it comes in any pieces
        found = [found[0] | {"text": "".join(each["text"] for each in found)}]
    assert len(found) == 1, messages
    return found[0]


def test_an_error_reaches_the_frontend_as_a_short_error_message(execute):
    error = only(execute("%db --as panda select 1"), "error")
    assert error["ename"] == "UsageError"
    assert error["evalue"] == "--as must be rows, pandas, polars or arrow, got 'panda'"
    assert len(error["traceback"]) == 2
    assert "did you mean pandas?" in error["traceback"][1]


def test_debug_shows_the_frontend_the_whole_traceback(execute):
    execute("%agentnb debug on")
    error = only(execute("%db --as panda select 1"), "error")
    assert error["ename"] == "UsageError"
    assert "grammar" in "\n".join(error["traceback"])
    execute("%agentnb debug off")
    assert len(only(execute("%db --as panda select 1"), "error")["traceback"]) == 2


def test_a_result_reaches_the_frontend_as_text_and_escaped_html(execute):
    data = only(execute("%db select '<b>x</b>' as a"), "execute_result")["data"]
    assert data["text/plain"].split() == ["a", "<b>x</b>"]
    assert "&lt;b&gt;x&lt;/b&gt;" in data["text/html"]
    assert "<b>x" not in data["text/html"]


def test_quiet_and_assignments_show_nothing(execute):
    for source in ("%db --quiet select 1", "%db x << select 1", "y = %db select 1"):
        kinds = {kind for kind, _ in execute(source)}
        assert kinds == {"status", "execute_input"}, source


def test_a_trace_reaches_the_threads_and_coroutines_of_its_cell(execute):
    source = (
        "import asyncio, json\n"
        "from agentnb.core.trace import current\n"
        "first = current().trace_id\n"
        "await asyncio.sleep(0)\n"
        "second = await asyncio.to_thread(lambda: current().trace_id)\n"
        "hub.db.query('select 1')\n"
        "print(json.dumps([first, second, hub.tracer.recent(1)[-1].trace_id]))"
    )
    seen = [json.loads(only(execute(source), "stream")["text"]) for _ in range(2)]
    assert len(set(seen[0])) == len(set(seen[1])) == 1
    assert seen[0] != seen[1]


def test_an_awaited_cell_is_the_root_of_its_trace(execute):
    execute("hub.db.query('select 0')")
    execute("import asyncio\nawait hub.db.aquery('select 1')\n1 / 0")
    source = (
        "import json\n"
        "spans = hub.trace.last().spans\n"
        "print(json.dumps([(one.name, one.outcome, one.attributes) for one in spans]))"
    )
    (cell, query) = json.loads(only(execute(source), "stream")["text"])
    assert cell[:2] == ["cell", "ZeroDivisionError"]
    assert cell[2]["source"] == "import asyncio"
    assert query[:2] == ["query", "ok"]


def test_every_verb_has_its_method(shell):
    assert len(MAGICS) == 15
    for entry in MAGICS:
        magic = find(shell).magic(entry.name)
        for grammar in filter(None, (magic.grammar, magic.cell_grammar)):
            missing = [verb for verb in grammar.verbs if not hasattr(magic, f"do_{verb}")]
            assert set(missing) <= {"help"}, grammar.noun


@pytest.mark.parametrize("entry", MAGICS, ids=[entry.name for entry in MAGICS])
def test_a_magic_says_the_same_before_and_after_it_is_imported(shell, entry):
    magics = shell.magics_manager.magics
    before = {kind: magics[kind].get(entry.name) for kind in ("line", "cell")}
    magic = find(shell).magic(entry.name)
    assert type(magic).__name__ == entry.class_name
    assert magic.grammar.noun == entry.name
    for kind, stub in before.items():
        method = magics[kind].get(entry.name)
        assert (stub is None) is (method is None) is (kind not in entry.kinds)
        if stub is not None:
            assert method.__self__ is magic
            assert (stub.__name__, stub.__doc__) == (method.__name__, method.__doc__)
            for attribute in ("needs_local_scope", "_ipython_magic_no_var_expand"):
                assert getattr(stub, attribute) is getattr(method, attribute) is True


def test_the_first_use_of_a_magic_is_as_every_other(shell, capsys):
    source = (
        "def total(number):\n"
        "    rows = %db select :number + 1 as total\n"
        "    return rows.scalar()\n"
        "total(41)"
    )
    assert [shell.run_cell(source).result for _ in range(2)] == [42, 42]
    assert shell.run_cell("%%files write a.txt\nhello $HOME {x}").success
    assert shell.user_ns["hub"].files.read_file("a.txt").strip() == "hello $HOME {x}"
    capsys.readouterr()
    shell.run_cell("%agentnb status --nothing")
    assert "has no option" in capsys.readouterr().out


def test_threads_that_use_a_magic_at_once_share_one(shell):
    extension, barrier, found = find(shell), threading.Barrier(8), []

    def use():
        barrier.wait()
        found.append(extension.magic("cache"))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert extension.loaded == found[:1]


def test_unloading_takes_out_magics_that_were_used_and_those_that_were_not(bare_shell):
    before = state_of(bare_shell)
    bare_shell.run_line_magic("load_ext", "agentnb")
    bare_shell.run_cell("%cache help\n%agentnb help")
    bare_shell.run_line_magic("unload_ext", "agentnb")
    assert state_of(bare_shell) == before
    assert "CacheMagic" not in bare_shell.magics_manager.registry


@pytest.mark.parametrize(
    ("line", "service"), [("%ws nope", "websocket"), ("%agent nope", "workflow")]
)
def test_an_error_of_a_line_names_the_service_as_the_core_does(run, line, service):
    with pytest.raises(UsageError) as caught:
        run(line)
    assert caught.value.service == service


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%db --timeout 0 select 1", "--timeout must be greater than 0 s, got 0"),
        ("%cache set a 1 --ttl -5", "--ttl must be greater than 0 s, got -5"),
        ("%queue add q 1 --delay -1", "--delay must be 0 s or more, got -1"),
        ("%queue add q 1 --attempts 0", "--attempts must be 1 or more, got 0"),
        ("%files head a.txt -n 0", "--lines must be 1 or more, got 0"),
        ("%workflow prune --days -1", "--days must be 0 to 10,000 days, got -1"),
    ],
)
def test_a_number_outside_its_range_is_refused_in_the_words_of_the_line(run, line, message):
    with pytest.raises(UsageError) as caught:
        run(line)
    assert caught.value.message == message
    assert caught.value.hint.startswith(("--", "-n"))


@pytest.mark.parametrize("line", ['%queue add q {"a":', "%cache set a 'b", "%git log 'a"])
def test_a_malformed_line_is_an_error_of_the_service_of_its_magic(run, line):
    with pytest.raises(UsageError) as caught:
        run(line)
    assert line.startswith(f"%{caught.value.service} ")


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("%%files write\nx", "%%files write PATH"),
        ("%%events on\nx", "%%events on PATTERN"),
        ("%%queue task\nx", "%%queue task QUEUE"),
        ("%%queue work\nx", "%queue work QUEUE"),
        ("%queue work", "%queue work QUEUE"),
    ],
)
def test_the_hint_above_a_body_is_the_first_line_of_a_cell(run, source, hint):
    with pytest.raises(UsageError) as caught:
        run(source)
    assert caught.value.hint == hint
