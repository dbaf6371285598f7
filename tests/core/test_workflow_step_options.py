"""Options of steps: attempts, time-outs, final errors, and arguments that have changed."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from contextlib import suppress

import pytest

from agentnb.core.db import Database
from agentnb.core.workflow import Orchestrator, Task, TaskFailed
from agentnb.core.workflow.execution import TaskExecution
from agentnb.core.workflow.step_options import fingerprint
from agentnb.errors import DeadlineExceeded, Final, UsageError
from tests.core.typed_cases import Model, Point


@pytest.fixture
def flows(tmp_path):
    with Orchestrator(Database(f"sqlite:///{tmp_path}/a.db"), owns_database=True) as made:
        yield made


def run(flows, agent, **options):
    """Run a task by an agent to its end, and return its workflow."""
    flows.agent("one", backoff=0.01, **options)(agent)
    flows.work()
    made = flows.create("w", [Task("t", agent="one")])
    with suppress(TaskFailed):
        made.wait(20)
    return made


class Flaky:
    """Fails at its first calls."""

    def __init__(self, failures, error=OSError):
        self.calls, self.failures, self.error = 0, failures, error

    def __call__(self, *_):
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error(f"call {self.calls}")
        return self.calls

    async def awaited(self, *_):
        return self()


@pytest.mark.parametrize("kind", ["def", "async def", "async def by astep"])
def test_a_step_is_called_again_while_it_has_attempts(flows, kind):
    flaky = Flaky(2)

    def plain(_, ctx):
        return ctx.with_options(attempts=3, backoff=0.01).step("call", flaky)

    async def awaited(_, ctx):
        return await ctx.with_options(attempts=3, backoff=0.01).step("call", flaky.awaited)

    async def by_astep(_, ctx):
        return await ctx.with_options(attempts=3, backoff=0.01).astep("call", flaky)

    agent = {"def": plain, "async def": awaited, "async def by astep": by_astep}[kind]
    done = run(flows, agent, attempts=1)
    assert done.result == {"t": 3}
    (first, second) = done.logs("t")
    assert first.startswith("step 'call' failed at attempt 1 of 3, again in 0.0 s: OSError: call 1")
    assert "attempt 2 of 3" in second


def test_the_line_of_a_step_that_failed_is_not_written_on_the_event_loop(flows, monkeypatch):
    flaky, wrote, loops = Flaky(1), [], []
    say = TaskExecution.say_again

    def note(*args):
        wrote.append(threading.get_ident())
        say(*args)

    monkeypatch.setattr(TaskExecution, "say_again", note)

    async def agent(_, ctx):
        loops.append(threading.get_ident())
        return await ctx.with_options(attempts=2, backoff=0).astep("call", flaky.awaited)

    assert run(flows, agent, attempts=1).result == {"t": 2}
    assert len(wrote) == len(loops) == 1
    assert wrote != loops


def test_the_last_error_of_a_step_is_that_of_the_task(flows):
    flaky = Flaky(9)
    done = run(
        flows,
        lambda _, ctx: ctx.with_options(attempts=2, backoff=0).step("call", flaky),
        attempts=2,
    )
    with pytest.raises(TaskFailed, match="OSError: call 4"):
        done.wait(20)
    assert flaky.calls == 4  # two in each attempt


def test_a_final_error_ends_step_and_task(flows):
    flaky = Flaky(9, KeyError)
    done = run(
        flows,
        lambda _, ctx: ctx.with_options(attempts=3, final=(KeyError, ValueError)).step("c", flaky),
        attempts=3,
    )
    assert flaky.calls == 1
    assert done.task("t").attempt == 1
    with pytest.raises(TaskFailed, match="Final: step 'c': KeyError: 'call 1'"):
        done.wait(20)


@pytest.mark.parametrize("error", [Final, functools.partial(UsageError, service="db")])
def test_an_error_that_no_call_can_mend_is_not_called_again(flows, error):
    flaky = Flaky(9, error)
    run(flows, lambda _, ctx: ctx.with_options(attempts=3).step("c", flaky), attempts=1)
    assert flaky.calls == 1


def test_a_step_that_takes_too_long_is_cancelled(flows):
    cancelled = []

    async def slow():
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    def agent(_, ctx):
        with pytest.raises(DeadlineExceeded, match=r"step 'slow' took longer than 0.05 s"):
            ctx.with_options(timeout=0.05, attempts=2, backoff=0).step("slow", slow)
        return len(cancelled)

    assert run(flows, agent, attempts=1).result == {"t": 2}


def test_a_time_out_of_the_function_s_own_is_its_own(flows):
    async def own():
        raise TimeoutError("mine")

    async def agent(_, ctx):
        with pytest.raises(TimeoutError, match="mine"):
            await ctx.with_options(timeout=5).astep("own", own)

    assert run(flows, agent, attempts=1).state == "completed"


def test_a_time_out_of_a_plain_function_is_refused_before_it_is_called(flows):
    flaky = Flaky(0)

    def agent(_, ctx):
        with pytest.raises(UsageError, match="timeout= of step 'c' needs an async function"):
            ctx.with_options(timeout=1).step("c", flaky)
        return ctx.step("c", flaky)  # the name is not taken

    assert run(flows, agent, attempts=1).result == {"t": 1}


class Prompt:
    """What a task asks: changed between its attempts."""

    def __init__(self, on_change):
        self.on_change, self.asked = on_change, []

    def __call__(self, task, ctx):
        step = ctx.with_options(on_change=self.on_change).step
        answer = step("ask", self._ask, f"prompt {task.attempt}", at={"temperature": 0})
        if task.attempt == 1:
            raise OSError
        return answer

    def _ask(self, prompt, *, at):
        del at
        self.asked.append(prompt)
        return f"answer to {prompt}"


@pytest.mark.parametrize(
    ("on_change", "result", "line"),
    [
        ("warn", "answer to prompt 1", "step 'ask' was done with other arguments: its result is"),
        ("again", "answer to prompt 2", "step 'ask' was done with other arguments, and is called"),
    ],
)
def test_other_arguments_are_noticed(make_workflows, caplog, on_change, result, line):
    prompt = Prompt(on_change)
    with caplog.at_level(logging.WARNING):
        done = run(make_workflows(), prompt, attempts=2)
    assert done.result == {"t": result}
    assert done.logs("t")[-1].startswith(line)
    assert line in caplog.text


def test_other_arguments_can_be_an_error(flows):
    prompt = Prompt("fail")
    done = run(flows, prompt, attempts=3)
    assert prompt.asked == ["prompt 1"]
    assert done.task("t").attempt == 2  # which no other attempt could mend
    with pytest.raises(TaskFailed, match="step 'ask' was done with other arguments than now"):
        done.wait(20)


def test_the_same_arguments_are_not_noticed(flows):
    def agent(task, ctx):
        ctx.with_options(on_change="fail").step("ask", lambda *_: 1, Point(1, 2), {"a": {3, 1, 2}})
        if task.attempt == 1:
            raise OSError

    done = run(flows, agent, attempts=2)
    assert (done.state, done.logs("t")) == ("completed", [])


def test_a_fingerprint_is_that_of_values_and_not_of_objects():
    same = [(Point(1, 2), [1.5, None]), (Point(1, 2), [1.5, None])]
    assert len({fingerprint(one, {"x": Model(name="a")}) for one in same}) == 1
    others = [((1,), {}), (("1",), {}), ((1, 2), {}), ((), {"x": 1}), (([1, 2],), {}), ((12,), {})]
    assert len({fingerprint(*one) for one in others}) == len(others)
    assert fingerprint((object(),), {}) == fingerprint((object(),), {})
    assert fingerprint((), {"a": 1, "b": 2}) == fingerprint((), {"b": 2, "a": 1})


def test_an_option_that_cannot_be_is_refused(flows):
    def agent(_, ctx):
        for options in (
            {"attempts": 0},
            {"attempts": "3"},
            {"backoff": -1},
            {"timeout": 0},
            {"timeout": float("nan")},
            {"final": "KeyError"},
            {"final": (KeyboardInterrupt,)},
            {"on_change": "ignore"},
            {"retries": 3},
        ):
            with pytest.raises(UsageError, match=next(iter(options))):
                ctx.with_options(**options)

    assert run(flows, agent, attempts=1).state == "completed"


def test_a_pause_between_two_calls_ends_with_the_task(flows, until):
    flaky = Flaky(9)

    def agent(_, ctx):
        ctx.with_options(attempts=5, backoff=200).step("call", flaky)

    flows.agent("one", attempts=1)(agent)
    flows.work()
    made = flows.create("w", [Task("t", agent="one")])
    until(lambda: flaky.calls == 1)
    began = time.monotonic()
    made.cancel()
    with pytest.raises(TaskFailed, match="was cancelled"):
        made.wait(20)
    assert time.monotonic() - began < 15
    assert flaky.calls == 1
