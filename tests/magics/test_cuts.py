"""Every list that stops short says so, and how to see more."""

from __future__ import annotations

import pytest

from agentnb.core.errors import UsageError


def notes(table):
    return table.note, len(table)


def test_cached_keys(run):
    for number in range(4):
        run(f"%cache set key{number} {number}")
    assert notes(run("%cache list -n 3")) == ("3 shown, there are more: -n N", 3)
    assert notes(run("%cache list -n 4")) == ("", 4)
    assert notes(run("%cache list key*")) == ("", 4)


def test_rows_that_are_requested_are_displayed(run):
    run("for n in range(40): hub.cache.set(f'key{n:02}', n)")
    assert "key39" not in repr(run("%cache list"))
    assert "key39" in repr(run("%cache list -n 40"))
    numbers = "with recursive t(n) as (select 0 union all select n + 1 from t where n < 39)"
    assert "39" in repr(run(f"%db -n 40 {numbers} select n from t order by n")).split()


def test_jobs(run):
    run("q = hub.queue('mail')\nfor i in range(5): q.add(i)\nq.add(9, delay=60)")
    assert notes(run("%queue jobs mail -n 2")) == ("3 of 6 shown; -n N for more", 3)
    assert notes(run("%queue jobs mail --state waiting -n 2")) == ("2 of 5 shown; -n N for more", 2)
    assert notes(run("%queue jobs mail")) == ("", 6)


def test_events(run):
    for number in range(4):
        run(f"%events publish c {number}")
    shown = run("%events history c -n 3")
    assert notes(shown) == ("3 shown, there are more: -n N", 3)
    assert shown.column("data") == ["1", "2", "3"]
    assert notes(run("%events history c -n 4")) == ("", 4)


def test_dead_letters(run, until):
    run("%%events on c\n1 / 0")
    for number in range(3):
        run(f"%events publish c {number}")
    until(lambda: len(run("%events dead")) == 3)
    again = "again: %events dead --replay ID"
    assert notes(run("%events dead -n 2")) == (f"2 of 3 shown; -n N for more; {again}", 2)
    assert notes(run("%events dead")) == (again, 3)


@pytest.fixture
def workflows(run):
    run(
        "import agentnb\n"
        "@hub.workflows.agent('a')\n"
        "def a(ctx):\n    return 1\n"
        "for i in range(7):\n"
        "    hub.workflows.create(f'w{i}', tasks=[{'name': 't', 'agent': 'a'}])"
    )


@pytest.mark.usefixtures("workflows")
def test_workflows_and_their_events(run):
    assert notes(run("%workflow list -n 3")) == ("3 shown, there are more: -n N", 3)
    assert notes(run("%workflow list -n 7")) == ("", 7)
    bare = run("%workflow")
    assert len(bare) == 5
    assert bare.note.startswith("5 shown, there are more: %workflow list -n N")
    every = run("%workflow events w0")
    assert every.note == ""
    last = run("%workflow events w0 -n 1")
    assert notes(last) == (("1 shown, there are more: -n N", 1) if len(every) > 1 else ("", 1))
    assert last[0] == every[-1]


def test_commits(run, project):
    run("%git init")
    for number in range(4):
        (project / f"f{number}.txt").write_text("x")
        run(f"%git commit f{number}.txt -m 'commit {number}'")
    cut = run("%git log -n 3")
    for shown in (repr(cut), cut._repr_html_()):
        assert "there are older commits than these 3: -n N" in shown
    assert "older" not in repr(run("%git log -n 4"))


def test_a_text(run):
    run("%%files write long.txt\n" + "\n".join(map(str, range(300))))
    assert "the first 200 of 300 lines" in repr(run("%files cat long.txt"))
    assert "the first 5 of 300 lines" in repr(run("%files cat long.txt -n 5"))
    assert "lines" not in repr(run("%files cat long.txt -n 300"))


def test_a_tail_that_stops_by_itself(run, monkeypatch):
    monkeypatch.setattr("agentnb.magics.events.magic._TAIL_COUNT", 2)
    publish = (
        "import threading\n"
        "def publish(n):\n    for i in range(n): hub.events.publish('c', i)\n"
        "timer = threading.Timer(0.5, publish, [{}])\ntimer.start()"
    )
    run(publish.format(2))
    assert repr(run("%events tail c --timeout 20")) == "2 events, then stopped: -n N for more"
    run("timer.join()")
    run(publish.format(1))
    assert repr(run("%events tail c --timeout 20 -n 1")) == "1 event"
    run("timer.join()")


@pytest.mark.parametrize("line", [
    "%cache list -n {}", "%queue jobs mail -n {}", "%events history -n {}", "%events dead -n {}",
    "%workflow list -n {}", "%workflow events -n {}",
])  # fmt: skip
def test_the_largest_number_of_rows_is_taken_and_one_more_is_refused(run, line):
    run("_ = hub.queue('mail').add(1)")
    run("@hub.workflows.agent('idle')\ndef idle(task): pass")
    run("%%workflow one\na: idle")
    assert run(line.format(1_000_000)).note == ""
    for number in (0, 1_000_001, 10**30):
        with pytest.raises(UsageError) as caught:
            run(line.format(number))
        assert caught.value.message == f"--count must be 1 to 1,000,000, got {number}"


def test_the_largest_limit_of_a_result_is_taken(run):
    assert len(run(f"%db -n {2**63 - 2} select 1")) == 1
    with pytest.raises(UsageError, match="limit must be 0 to 9,223,372,036,854,775,806, got 9"):
        run(f"%db -n {2**63 - 1} select 1")
