"""%workflow schedule, and %%workflow with --cron: made, listed, paused, triggered, removed."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import NotFoundError, UsageError

CELL = "\ncollect: greet\nprint: greet <- collect"


@pytest.fixture
def flows(shell):
    found = shell.user_ns["hub"].workflows
    found.agent("greet")(lambda task: task.data)
    return found


def test_a_cell_with_times_makes_a_schedule_in_the_place_of_a_workflow(run, flows):
    table = run(
        '%%workflow nightly --cron "0 2 * * *" --tz Europe/Berlin --missed all --overlap skip '
        '--max-parallel 2 --data {"a": 1} --start 2030-01-01T00:00 --end 2031-01-01T00:00' + CELL
    )

    (row,) = table
    assert (row.schedule, row.tasks, row.when, row.zone) == (
        *("nightly", "collect, print", "0 2 * * *"),
        "Europe/Berlin",
    )
    assert flows.list() == []
    info = flows.get_schedule("nightly").info()
    assert (info.missed, info.overlap, info.timing.start) == ("all", "skip", 1_893_452_400.0)
    workflow = run("%workflow schedule nightly --trigger")
    assert (workflow.data, workflow.task("print").needs) == ({"a": 1}, ("collect",))


def test_a_cell_fires_every_some_seconds(run, flows):
    run("%%workflow poll --every 900" + CELL)

    assert flows.get_schedule("poll").info().timing.every == 900


def test_a_schedule_is_listed_paused_resumed_and_removed(run, flows):
    assert "no schedule yet" in repr(run("%workflow schedule"))
    run('%%workflow nightly --cron "0 2 * * *"' + CELL)

    assert [row.state for row in run("%workflow schedule")] == ["active"]
    assert "paused" in repr(run("%workflow schedule nightly --pause"))
    assert [row.state for row in run("%workflow schedule nightly")] == ["paused"]
    assert "resumed" in repr(run("%workflow schedule nightly --resume"))
    assert "removed" in repr(run("%workflow schedule nightly --rm"))
    assert flows.schedule_infos() == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('%%workflow x --cron "0 0 30 2 *"' + CELL, "would never fire"),
        ('%%workflow x --cron "0 2 * * *" --key k' + CELL, "--key does not go with --cron"),
        ("%%workflow x --every 60 --run" + CELL, "--run does not go with --every"),
        ("%%workflow x --every 60 --unknown wait" + CELL, "--unknown does not go with --every"),
        ("%%workflow x --tz UTC" + CELL, "--tz goes with --cron or --every"),
        ("%%workflow x --every 60\nnone: nobody", "nobody"),
        ('%%workflow "two words" --every 60' + CELL, "cannot be called"),
        ("%workflow schedule --pause", "needs the name of a schedule"),
        ("%workflow schedule x --pause --rm", "do not go together"),
        ("%workflow schedule x", "there is no schedule 'x'"),
    ],
)
def test_a_line_that_is_none_is_refused_and_keeps_nothing(run, flows, line, message):
    with pytest.raises((UsageError, NotFoundError), match=message):
        run(line)

    assert flows.schedule_infos() == []
    assert flows.list() == []


@pytest.mark.usefixtures("flows")
def test_tab_completes_schedules_and_zones(run, shell):
    run('%%workflow nightly --cron "0 2 * * *"' + CELL)

    def offered(text):
        with provisionalcompleter():
            return {one.text for one in shell.Completer.completions(text, len(text))}

    assert "nightly" in offered("%workflow schedule ni")
    assert "Europe/Berlin" in offered("%%workflow x --tz Europe/Ber")
