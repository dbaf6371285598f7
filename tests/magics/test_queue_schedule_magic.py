"""%queue schedule: made, listed, paused, triggered, removed; refused with a hint."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import NotFoundError, UsageError


@pytest.fixture
def hub(shell):
    return shell.user_ns["hub"]


def test_a_line_makes_a_schedule_and_shows_its_next_times(run, hub):
    table = run(
        '%queue schedule nightly "0 2 * * *" reports {"kind": "daily"} --tz Europe/Berlin '
        "--missed skip --overlap skip --attempts 5 --priority 2 --timeout 9 --correlation c "
        "--start 2030-01-01T00:00 --end 2031-01-01T00:00+00:00"
    )

    (row,) = table
    assert (row.schedule, row.queue, row.when, row.zone, row.state) == (
        *("nightly", "reports", "0 2 * * *"),
        *("Europe/Berlin", "active"),
    )
    assert (
        row.next.astimezone().isoformat()
        == hub.queue("reports").get_schedule("nightly").next_times(1)[0].isoformat()
    )
    job = hub.queue("reports").get_schedule("nightly").trigger()
    assert (job.data, job.correlation_id) == ({"kind": "daily"}, "c")
    assert (job.options.attempts, job.options.priority, job.options.timeout) == (5, 2, 9)
    info = hub.queue("reports").get_schedule("nightly").info()
    assert (info.missed, info.overlap) == ("skip", "skip")
    # 23:00 UTC of the day before: --start goes by --tz, where it names no zone.
    assert info.timing.start == 1_893_452_400.0


def test_every_takes_the_place_of_the_cron_line(run, hub):
    run("%queue schedule poll feeds 5 --every 900")

    info = hub.queue("feeds").get_schedule("poll").info()
    assert info.timing.every == 900
    assert run("%queue schedule poll --trigger").data == 5


def test_the_bare_line_lists_the_schedules_of_all_queues(run):
    assert "no schedule yet" in repr(run("%queue schedule"))
    run('%queue schedule b "@daily" two')
    run('%queue schedule a "@hourly" one')

    assert [(row.schedule, row.queue) for row in run("%queue schedule")] == [
        ("a", "one"),
        ("b", "two"),
    ]
    assert [row.schedule for row in run("%queue schedule a")] == ["a"]


def test_a_schedule_is_paused_resumed_triggered_and_removed_by_its_name(run, hub):
    run('%queue schedule nightly "0 2 * * *" reports')

    assert "paused" in repr(run("%queue schedule nightly --pause"))
    assert hub.queue("reports").get_schedule("nightly").info().paused
    assert "resumed" in repr(run("%queue schedule nightly reports --resume"))
    assert run("%queue schedule nightly --trigger").schedule == "nightly"
    assert "removed" in repr(run("%queue schedule nightly --rm"))
    with pytest.raises(NotFoundError, match="there is no schedule 'nightly' of any queue"):
        run("%queue schedule nightly --rm")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('x "0 2 * * *"', "needs a name, its times and a queue"),
        ("x --every 60", "--every goes with the times"),
        ("--tz UTC", "--tz goes with the times"),
        ("x --pause --tz UTC", "--tz goes with the times"),
        ('x "0 2 * * *" q 1 2', "not 5 arguments"),
        ('x q 1 "0 2 * * *" --every 60', "one word too many"),
        ('x "0 0 30 2 *" q', "would never fire"),
        ('x "0 2 * * *" q --tz Mars/Olympus', "no time zone"),
        ('x "0 2 * * *" q --every 5', "--every and the cron line '0 2 .* do not go together"),
        ('x "0 2 * * *" q --start soon', "start must be a time such as"),
        ('x "0 2 * * *" q --start 2030-01-01T00:00', "start must be a time with a zone"),
        ('x "0 2 * * *" q --missed some', "latest"),
        ("x q --every 0", "SECONDS|greater than 0"),
        ("x q --every 0.5", "every must be 1 to"),
        ("--pause", "needs the name of a schedule"),
        ("x --pause --resume", "do not go together"),
        ("x --pause", "there is no schedule 'x'"),
        ("x q 1 --rm", "the name of a schedule and its queue alone"),
    ],
)
def test_a_line_that_is_none_is_refused_and_keeps_nothing(run, hub, line, message):
    with pytest.raises((UsageError, NotFoundError), match=message):
        run(f"%queue schedule {line}")

    assert hub.queues.schedule_infos() == []


def test_two_queues_with_a_schedule_of_one_name_are_told_apart(run):
    run('%queue schedule nightly "0 2 * * *" one')
    run('%queue schedule nightly "0 2 * * *" two')

    with pytest.raises(UsageError, match="several queues have a schedule nightly: one, two"):
        run("%queue schedule nightly --pause")
    run("%queue schedule nightly two --pause")

    assert [row.state for row in run("%queue schedule")] == ["active", "paused"]


def test_tab_completes_schedules_zones_and_queues(run, shell):
    run('%queue schedule nightly "0 2 * * *" reports')

    def offered(text):
        with provisionalcompleter():
            return {one.text for one in shell.Completer.completions(text, len(text))}

    assert "nightly" in offered("%queue schedule ni")
    assert "reports" in offered('%queue schedule x "0 2 * * *" rep')
    assert "Europe/Berlin" in offered('%queue schedule x "0 2 * * *" q --tz Europe/Ber')
    assert "--missed" in offered("%queue schedule x --mis")


def test_the_status_says_how_many_schedules_there_are_and_when_the_next_is_due(run, hub):
    assert [row.kind for row in hub.health() if row.service == "queue"] == []
    run('%queue schedule nightly "0 2 * * *" reports')
    due = hub.queue("reports").get_schedule("nightly").next_times(1)[0]

    [kind] = [row.kind for row in run("%agentnb") if row.service == "queue"]

    assert kind == f"no worker here, 1 schedule, the next at {due:%Y-%m-%d %H:%M:%S}"
