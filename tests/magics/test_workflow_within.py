"""%%workflow within the transaction that %db begin has opened."""

from __future__ import annotations

import pytest

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.magics.db import transaction
from tests.waiting import until

CELL = "%%workflow new-app{}\none: plan"


@pytest.fixture
def hub(shell, run):
    run("%%agent plan\n'done'")
    hub = shell.user_ns["hub"]
    hub.workflows.list()  # their tables are made outside of the transaction
    return hub


def test_a_workflow_is_made_and_undone_with_the_rows_of_the_open_transaction(run, hub):
    run("%db create table orders (n integer)")
    for end, left in (("rollback", 0), ("commit", 1)):
        run("%db begin")
        run("%db insert into orders values (17)")
        said = str(run(CELL.format("")))
        assert "made within the open transaction of default: %db commit makes it last" in said
        number = said.split()[1]
        assert hub.workflows.list() == []
        run(f"%db {end}")
        assert run("%db select count(*) from orders").scalar() == left
        assert len(hub.workflows.list()) == left
    hub.workflows.work()  # the commit has made it one like any other
    assert hub.workflows.get(number).wait(30).result == {"one": "done"}
    run(CELL.format(""))
    assert len(hub.workflows.list()) == 2


def test_a_key_of_an_earlier_workflow_makes_none_and_says_so(run, hub):
    run("%db begin")
    first = str(run(CELL.format(" --key k")))
    assert str(run(CELL.format(" --key k"))) == first  # the one of this transaction
    assert "is made within the open transaction" in first
    run("%db commit")
    hub.workflows.cancel(first.split()[1])
    run("%db begin")
    said = str(run(CELL.format(" --key k")))
    assert said.startswith(
        f"key k is workflow {first.split()[1]} (cancelled), which was made before"
    )
    run("%db rollback")
    assert len(hub.workflows.list()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [(" --run", "--run cannot see the workflow"), (" --every 60", "a schedule does not belong")],
)
def test_a_cell_that_cannot_join_the_transaction_is_refused(run, hub, options, words):
    run("%db begin")
    with pytest.raises(UsageError, match=words) as caught:
        run(CELL.format(options))
    assert "%db commit" in caught.value.hint
    run("%db rollback")
    assert hub.workflows.list() == []
    with pytest.raises(NotFoundError):
        hub.workflows.get_schedule("new-app")


def test_a_transaction_that_only_reads_stands_in_the_way_of_no_workflow(run, hub):
    run(f"%db connect reader {hub.db.access.backend.target.url} --read-only")
    run("%db -c reader begin")
    run("%db -c reader select count(*) from sqlite_master")
    made = run(CELL.format(""))
    hub.workflows.cancel(made.id)
    assert [one.state for one in hub.workflows.list()] == ["cancelled"]
    run("%db -c reader rollback")


def test_a_transaction_that_was_rolled_back_meanwhile_is_told_of_once(run, shell, hub, monkeypatch):
    monkeypatch.setattr(transaction, "IDLE_SECONDS", 0.05)
    run("%db begin")
    held = shell.find_magic("db").__self__.held["default"]
    until(lambda: not held.open)
    with pytest.raises(UsageError, match="the transaction was rolled back"):
        run(CELL.format(""))
    run(CELL.format(""))
    assert len(hub.workflows.list()) == 1
