"""%events and %%events on a real server: the embedded one of an empty project."""

from __future__ import annotations

import threading

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.events import EventBus


@pytest.fixture
def bus(shell):
    return shell.user_ns["hub"].events


# The verbs


def test_what_is_published_is_in_the_history(run):
    event = run('%events publish agent.done {"task": 1} --correlation "order 7"')
    assert (event.channel, event.data, event.correlation_id) == (
        "agent.done",
        {"task": 1},
        "order 7",
    )
    run("%events publish other.thing")
    table = run("%events history agent.*")
    assert table.columns == ("time", "channel", "data", "id")
    assert [(row.channel, row.data) for row in table] == [("agent.done", '{"task": 1}')]
    assert len(run("%events history")) == 2
    assert len(run("%events history --count 1")) == 1
    assert len(run("%events history --since 60")) == 2


def test_data_is_json_or_else_text_and_a_name_of_the_notebooks(run, shell):
    for written, value in {"5": 5, "null": None, "hello": "hello", '"5"': "5", "[1]": [1]}.items():
        assert run(f"%events publish c {written}").data == value
    shell.user_ns["report"] = {"rows": 3}
    assert run("%events publish c :report").data == {"rows": 3}
    with pytest.raises(UsageError, match="cannot be published"):
        shell.user_ns["thing"] = object()
        run("%events publish c :thing")


def test_an_event_that_is_not_durable_is_not_kept_in_the_log(run, bus):
    run("%events publish c 1 --no-durable")
    assert bus.history("c") == []
    run("%events publish c 2")
    assert [event.data for event in bus.history("c")] == [2]


def test_the_former_option_passing_warns_and_has_the_same_effect(run, bus):
    with pytest.warns(FutureWarning, match="use --no-durable"):
        run("%events publish c 1 --passing")
    assert bus.history("c") == []


def test_a_bare_events_says_how_things_are(run, shown):
    assert "%events publish CHANNEL DATA" in shown("%events")
    run("%events publish agent.done 1")
    assert run("%events").dicts() == [{"handlers": 0, "events": 1, "dead_letters": 0, "unsent": 0}]
    assert "last: agent.done" in shown("%events")


def test_tail_shows_events_as_they_come(shell, shown, bus):
    def publish():
        for n in range(3):
            bus.publish(f"n.{n}", {"n": n})

    threading.Timer(0.3, publish).start()
    text = shown("found = %events tail n.* --count 3 --timeout 10")
    assert [line.split("  ", 1)[1] for line in text.splitlines()] == [
        f'n.{n}  {{"n": {n}}}' for n in range(3)
    ]
    assert [event.data["n"] for event in shell.user_ns["found"]] == [0, 1, 2]
    assert "0 events" in shown("%events tail n.* --timeout 0.1")
    assert bus.subscriptions() == []


def test_the_list_of_handlers_and_their_removal(run, shown, bus):
    assert "%%events on CHANNEL" in shown("%events list")
    run("%%events on a.*\npass")
    run("%%events on b\npass")
    assert run("%events list").column("pattern") == ["a.*", "b"]
    assert shown("%events unsubscribe a.*").strip().endswith("1 handler removed")
    assert [one.pattern for one in bus.subscriptions()] == ["b"]
    assert "did you mean b?" in shown("%events unsubscribe B")
    with pytest.raises(NotFoundError):
        run("%events unsubscribe a.*")


# Cells


def test_a_cell_is_a_handler_with_event_in_scope(run, shell, until):
    shell.user_ns["found"] = []
    run('''%%events on agent.*
text = """two
lines"""
if event.data is None:
    return
found.append((event.channel, event.data, text))''')
    run("%events publish agent.a")
    run("%events publish agent.b 2")
    until(lambda: shell.user_ns["found"])
    assert shell.user_ns["found"] == [("agent.b", 2, "two\nlines")]
    assert "text" not in shell.user_ns


def test_a_cell_may_await_and_change_the_notebooks_names(run, shell, until):
    run("import asyncio\ncount = 0")
    run("%%events on c\nglobal count\nawait asyncio.sleep(0)\ncount += event.data")
    run("%events publish c 20\n%events publish c 22")
    until(lambda: shell.user_ns["count"] == 42)


def test_running_a_cell_again_replaces_its_handler(run, shell, until, bus):
    shell.user_ns["found"] = []
    run("%%events on c\nfound.append('old')")
    run("%%events on c\nfound.append('new')")
    run("%events publish c 1")
    until(lambda: shell.user_ns["found"])
    assert shell.user_ns["found"] == ["new"]
    assert len(bus.subscriptions()) == 1


def test_a_cell_that_cannot_be_a_handler_leaves_the_one_before(run, shown, bus):
    run("%%events on c\npass")
    broken = shown("%%events on c\npass\nprint(event.")
    assert "SyntaxError: '(' was never closed, in line 3 of the cell: print(event." in broken
    assert "File" not in broken  # the calls that led to the compiler are nobody's business
    assert "cannot yield" in shown("%%events on c\nyield event")
    assert "has no body" in shown("%%events on c\n# nothing")
    assert "the body of the cell" in shown("%events on c")
    assert "needs a verb" in shown("%%events\npass")
    assert len(bus.subscriptions()) == 1


def test_a_handlers_options(run, shell, until):
    shell.user_ns["found"] = []
    run("import dataclasses\n@dataclasses.dataclass\nclass Done:\n    task: int")
    run('%events publish c {"task": 1}\n%events publish c {"task": "no number"}')
    run(
        "%%events on c --replay 2 --queue 5 --overflow reread --schema Done\n"
        "found.append(event.data.task)"
    )
    until(lambda: len(run("%events dead")) == 1)
    assert shell.user_ns["found"] == [1]
    assert run("%events dead")[0].handler == "%%events on c"
    with pytest.raises(NotFoundError):
        run("%%events on c --schema Dona\npass")
    with pytest.raises(UsageError):
        run("%%events on c --overflow drop\npass")


def test_a_failing_cell_shows_its_line_and_its_dead_letters_are_tried_again(
    run, shell, until, shown
):
    shell.user_ns["found"] = []
    run("%%events on c\nfound.append(1 / event.data)")
    run("%events publish c 0")
    table = until(lambda: run("%events dead"))
    assert "ZeroDivisionError" in table[0].error
    run("%%events on c\nfound.append(event.data)")
    assert "1 replayed" in shown(f"%events dead --replay {table[0].id}")
    until(lambda: shell.user_ns["found"] == [0])
    assert "every event was handled" in shown("%events dead")
    with pytest.raises(NotFoundError):
        run("%events dead --replay 1-1")


def test_many_dead_letters_want_a_yes(run, shown, until, bus):
    run("%%events on c\nraise ValueError(event.data)")
    for n in range(12):
        bus.publish("c", n)
    until(lambda: bus.inspect.dead_letter_count() == 12)
    assert "12 dead letters; nothing was done" in shown("%events dead --discard all")
    assert "12 removed" in shown("%events dead --discard all --yes")


def test_a_cells_handlers_end_with_the_extension(run, bare_shell, bus):
    run("%%events on c\npass")
    bare_shell.run_line_magic("unload_ext", "agentnb")
    assert bus.subscriptions() == []
    assert bus._closing


def test_tab_offers_verbs_channels_and_patterns(run, shell):
    run("%events publish agent.done 1")
    run("%%events on other.*\npass")

    def offered(text):
        with provisionalcompleter():
            return [one.text for one in shell.Completer.completions(text, len(text))]

    assert "publish" in offered("%events pu")
    assert "publish" in offered("%events help pu")
    assert "event" in offered("%%events on c\neve")
    assert {"event.channel", "event.data", "event.trace_id"} <= set(
        offered("%%events on c\nprint(event.")
    )
    assert offered("%%events on c\nif event.cha") == ["event.channel"]
    assert "agent.done" in offered("%events history ag")
    assert "other.*" in offered("%events unsubscribe o")
    assert "--replay" in offered("%%events on c --re")
    assert "event_of_mine" in (
        shell.user_ns.update(event_of_mine=1) or offered("%%events on c\nevent_of")
    )


def test_help_names_every_verb(shown):
    text = shown("%events help")
    for verb in ("publish", "history", "tail", "on", "list", "unsubscribe", "dead", "panel"):
        assert f"  {verb}" in text


def test_another_notebook_hears_it(run, shell, until):
    with EventBus(shell.user_ns["hub"].redis) as other:
        found = []
        other.subscribe("c", found.append)
        run("%events publish c 7")
        assert until(lambda: found)[0].data == 7


def test_an_event_is_not_published_on_a_pattern(shown, bus):
    assert "%events publish agent.done" in shown("%events publish agent.* 1")
    assert bus.history() == []
