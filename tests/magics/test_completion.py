from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

pytestmark = pytest.mark.usefixtures("own_jedi_cache")


@pytest.fixture
def shell(shell):
    hub = shell.user_ns["hub"]
    hub.db.execute("create table task (id integer primary key, title text, state text)")
    hub.db.execute("create table agent (name text)")
    return shell


def offered(shell, text, cursor=None):
    """Return the whole words that Tab offers at the end of a text."""
    cursor = len(text) if cursor is None else cursor
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, cursor))
    start = {completion.start for completion in found}
    words = [text[: c.start] + c.text for c in found]
    assert len(start) <= 1
    cut = max(text.rfind(mark, 0, cursor) for mark in (" ", "\n", "=", "(", ",")) + 1
    return [word[cut:] for word in words]


def test_tab_offers_verbs(shell):
    assert {"describe"} <= set(offered(shell, "%db desc"))
    assert {"config", "check"} == set(offered(shell, "%agentnb c"))


def test_tab_offers_options_and_their_values(shell):
    assert offered(shell, "%db --expl") == ["--explain"]
    assert offered(shell, "%db --as p") == ["pandas", "polars"]
    assert offered(shell, "%db load x y --rep") == ["--replace"]


def test_tab_offers_the_connections_there_are(shell):
    shell.user_ns["hub"].databases.connect("archive", "sqlite://")
    assert offered(shell, "%db use ar") == ["archive"]
    assert offered(shell, "%db -c ar") == ["archive"]


def test_tab_offers_tables_where_a_table_belongs(shell):
    assert offered(shell, "%db describe ") == ["agent", "task"]
    assert offered(shell, "%db select * from ta") == ["task"]
    assert offered(shell, "rows = %db select * from ta") == ["task"]


def test_tab_offers_the_columns_of_the_tables_in_the_statement(shell):
    text = "%db select ti from task"
    assert offered(shell, text, cursor=len("%db select ti"))[0].startswith("title")
    assert offered(shell, "%db select * from task where st") == ["state"]
    assert offered(shell, "%db select * from task t where t.st") == ["t.state"]


def test_tab_works_in_the_body_of_a_cell(shell):
    assert offered(shell, "%%db\nselect title,\n  sta from task", len("%%db\nselect title,\n  sta"))
    assert "title" in offered(shell, "%%db\nselect *\nfrom task where ti")


def test_tab_offers_the_variables_that_can_be_bound(shell):
    shell.user_ns["wanted_state"] = "ready"
    shell.user_ns["job"] = {"number": 7}
    assert offered(shell, "%db select * from task where state = :wan") == [":wanted_state"]
    assert offered(shell, "%db select :job.nu") == [":job.number"]


def test_tab_stays_away_from_other_lines(shell):
    shell.user_ns["tasks_of_mine"] = 1
    assert "tasks_of_mine" in offered(shell, "tasks_of")


def test_tab_does_not_connect_to_a_server(shell):
    # Nothing listens there: connecting would take its time, and then raise.
    databases = shell.user_ns["hub"].databases
    databases.connect("far", "postgresql://nobody@127.0.0.1:1/none")
    shell.run_line_magic("db", "list")
    db = shell.magics_manager.registry["DbMagic"]
    db.used = "far"
    assert offered(shell, "%db describe ta") == []
    assert not databases["far"].access.pool.connected


def test_unloading_takes_the_completion_away(shell):
    before = len(shell.Completer.custom_matchers)
    shell.run_line_magic("unload_ext", "agentnb")
    assert len(shell.Completer.custom_matchers) == before - 1
    shell.run_line_magic("load_ext", "agentnb")


def test_tab_offers_agentnbs_own_tables_to_those_who_begin_with_its_name(shell):
    db = shell.user_ns["hub"].db
    db.execute("create table agentnb_task (place integer)")
    assert offered(shell, "%db describe ") == ["agent", "task"]
    assert offered(shell, "%db select * from ") == ["agent", "task"]
    assert offered(shell, "%db describe agentnb_") == ["agentnb_task"]
    assert offered(shell, "%db select * from agentnb_") == ["agentnb_task"]
    assert "agentnb_task" not in offered(shell, "%db select ag")
    assert "place" in offered(shell, "%db select * from agentnb_task where pl")
