"""Arguments of the functions for tests that are of the wrong kind: refused, with what to write."""

from __future__ import annotations

import asyncio

import pytest

from agentnb.core.errors import UsageError
from agentnb.testing import (
    arun_job,
    assert_events,
    register,
    run_agent,
    run_job,
    run_until_idle,
)


def nothing(work):
    """Process a job, or do a task."""


@pytest.mark.parametrize("argument", ["queues", "agents"])
def test_one_name_in_place_of_a_list_is_refused_and_not_read_by_its_letters(hub, argument):
    hub.queue("mail").add(1)
    with pytest.raises(UsageError, match=f"{argument} must be a list of names, got 'mail'") as one:
        run_until_idle(hub, **{argument: "mail"})
    assert one.value.hint == f"{argument}=['mail']"


def test_one_event_in_place_of_a_list_is_refused_before_the_block_runs(hub):
    ran = []
    no_list = "expected must be a list of events, got 'order'"
    with pytest.raises(UsageError, match=no_list) as one, assert_events(hub, "order"):
        ran.append(1)
    assert one.value.hint == "['order']"
    no_pair = "a channel, or a pair"
    with pytest.raises(UsageError, match=no_pair), assert_events(hub, [("order",)]):
        ran.append(1)
    assert ran == []


def test_what_is_no_hub_is_refused():
    for call in (
        lambda: run_job(nothing, hub=5),
        lambda: run_agent(nothing, hub=5),
        lambda: run_until_idle(5),
        lambda: register(5),
    ):
        with pytest.raises(UsageError, match="hub must be a Hub, got 5"):
            call()


def test_a_module_by_its_name_is_refused(hub):
    for call in (register, run_until_idle):
        with pytest.raises(UsageError, match="a module is given as itself, got 'shop'"):
            call(hub, "shop")


@pytest.mark.parametrize("argument", ["inputs", "steps"])
def test_inputs_and_steps_without_names_are_refused(hub, argument):
    with pytest.raises(UsageError, match=rf"{argument} must be a dict by name, got \[1\]"):
        run_agent(nothing, hub=hub, **{argument: [1]})


def test_a_misspelt_keyword_is_refused_with_the_nearest(hub):
    with pytest.raises(UsageError, match="run_job has no option atempts") as one:
        run_job(nothing, hub=hub, atempts=2)
    assert "attempts" in one.value.hint
    with pytest.raises(UsageError, match="arun_job has no option atempts"):
        asyncio.run(arun_job(nothing, hub=hub, atempts=2))
