"""`run_agent`: an agent does a task as a worker has it do, in the thread of the test."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

import pytest

from agentnb.core.errors import NotFoundError, RejectedError, UsageError
from agentnb.core.workflow import agent
from agentnb.testing import arun_agent, run_agent


@dataclass
class Report:
    title: str
    pages: int


def test_the_result_the_steps_the_progress_and_the_log_are_returned(hub):
    def write(task, ctx):
        ctx.log("begins")
        ctx.progress(0.5, "half")
        title = ctx.step("title", task.data["title"].upper)
        return {"title": title, "attempt": ctx.attempt}

    run = run_agent(write, {"title": "news"}, hub=hub)
    assert run.result == {"title": "NEWS", "attempt": 1}
    assert run.steps == {"title": "NEWS"}
    assert (run.progress, run.message) == (0.5, "half")
    assert run.logs == ["begins"]


def test_inputs_and_the_data_of_the_workflow_are_there(hub):
    def total(task, ctx):
        assert task.needs == ("net", "rate")
        rate = ctx.input("rate", type=float)
        return [ctx.inputs["net"] * rate, ctx.workflow.data["currency"]]

    run = run_agent(
        total, inputs={"net": 100, "rate": 1.5}, workflow_data={"currency": "EUR"}, hub=hub
    )
    assert run.result == [150.0, "EUR"]
    with pytest.raises(NotFoundError, match="needs no task"):
        run_agent(lambda _, ctx: ctx.input("net"), hub=hub)


def test_the_context_has_the_services_of_the_hub(hub):
    hub.cache.set("rate", 2, ttl=60)
    run = run_agent(lambda task, ctx: task.data * ctx.cache.get("rate"), 21, hub=hub)
    assert run.result == 42


def test_a_step_that_is_done_is_not_called_again(hub):
    called = []

    def charge(task, ctx):
        receipt = ctx.step("charge", lambda: called.append(task.data) or {"id": 7})
        if ctx.attempt == 1:
            raise ConnectionError
        return receipt

    run = run_agent(charge, 700, attempts=2, hub=hub)
    assert run.result == {"id": 7}
    assert called == [700]
    assert run.attempts == 2
    assert [type(error) for error in run.errors] == [ConnectionError]
    run = run_agent(charge, 900, attempts=2, steps={"charge": {"id": 8}}, hub=hub)
    assert run.result == {"id": 8}
    assert called == [700]


def test_the_exception_of_the_agent_is_raised_as_it_is(hub):
    error = KeyError("the real one")

    def fail(_task, _ctx):
        raise error

    with pytest.raises(KeyError) as caught:
        run_agent(fail, hub=hub)
    assert caught.value is error


def test_the_mark_of_an_agent_holds(hub):
    @agent("write", schema=Report)
    def write(task, _ctx) -> Report:
        assert isinstance(task.data, Report)
        assert task.agent == "write"
        return task.data

    assert run_agent(write, {"title": "a", "pages": 3}, hub=hub).result == Report("a", 3)
    with pytest.raises(UsageError, match="pages"):
        run_agent(write, {"title": "a", "pages": "three"}, hub=hub)


def test_a_class_is_an_agent_too(hub):
    class Writer:
        def execute(self, data, ctx):
            return [data, ctx.attempt]

    assert run_agent(Writer, 5, hub=hub).result == [5, 1]


def test_an_agent_runs_in_the_thread_of_the_test(hub):
    assert run_agent(lambda _: threading.get_ident(), hub=hub).result == threading.get_ident()


def test_a_coroutine_function_is_an_agent_too(hub):
    async def write(task, ctx):
        async def double():
            await asyncio.sleep(0)
            return task.data * 2

        return await ctx.step("double", double)

    run = run_agent(write, 4, hub=hub)
    assert (run.result, run.steps) == (8, {"double": 8})


def test_an_awaited_agent_runs_on_the_loop_of_its_caller(hub):
    async def main():
        here = asyncio.get_running_loop()

        async def where(_task, _ctx):
            return asyncio.get_running_loop() is here

        return await arun_agent(where, hub=hub)

    assert asyncio.run(main()).result is True


@pytest.mark.agentnb(database_url="sqlite://")
def test_an_agent_runs_on_a_database_in_memory(hub):
    hub.db.execute("create table page (n int)")

    def store(task, ctx):
        sql = "insert into page values (:n)"
        ctx.step("store", lambda: ctx.db.execute(sql, {"n": task.data}).rowcount)
        return ctx.db.query("select n from page").scalar()

    assert run_agent(store, 3, hub=hub).result == 3


def test_a_run_leaves_no_workflow_and_no_agent(hub):
    run_agent(lambda _: 1, inputs={"a": 1}, hub=hub)
    assert hub.workflows.list() == []
    assert hub.workflows.agent_infos() == []
    assert hub.db.query("select count(*) from agentnb_task").scalar() == 0
    assert [key for key in hub.redis.scan_iter() if b"-run-" in key] == []


def test_an_input_may_have_the_name_of_the_agent(hub):
    def plan(_task, ctx):
        return ctx.inputs["plan"] + 1

    assert run_agent(plan, inputs={"plan": 1}, hub=hub).result == 2


def test_an_unknown_option_is_an_error(hub):
    with pytest.raises(UsageError, match="timout"):
        run_agent(lambda _: 1, timout=3, hub=hub)


def test_questions_are_answered_and_sleeps_are_skipped(hub):
    def travel(_, ctx):
        ctx.sleep(86_400)
        budget = ctx.ask("budget", form=int)
        return [budget, ctx.ask("hotel", timeout=3600, default="none"), ctx.entry]

    assert run_agent(travel, answers={"budget": 5}, hub=hub).result == [5, "none", 4]

    async def awaited(_, ctx):
        return await ctx.aask("budget")

    assert asyncio.run(arun_agent(awaited, answers={"budget": 6}, hub=hub)).result == 6


def test_a_question_without_an_answer_and_an_answer_without_a_question_are_errors(hub):
    with pytest.raises(RejectedError, match="waits for 'budget', of kind ask") as caught:
        run_agent(lambda _, ctx: ctx.ask("budget"), hub=hub)
    assert caught.value.hint == "answers={'budget': ...}"
    with pytest.raises(UsageError, match="has not asked for 'other'"):
        run_agent(lambda _, ctx: ctx.ask("budget"), answers={"budget": 1, "other": 2}, hub=hub)
