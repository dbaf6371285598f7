"""The two drivers of the steps of `get_or_set`: one waits, one awaits."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Any

from agentnb.core.cache.loading import Ask, Load, Pause

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.cache.loading import Steps
    from agentnb.core.loop import LoopThread

__all__ = ["adrive", "drive"]


def drive(flow: Steps, loader: Callable[[], Any], loop: LoopThread) -> Any:
    """Do what the steps ask for, and return what they return."""
    reply: Any = None
    failure: BaseException | None = None
    try:
        while True:
            try:
                step = flow.send(reply) if failure is None else flow.throw(failure)
            except StopIteration as done:
                return done.value
            reply = failure = None
            try:
                if isinstance(step, Ask):
                    reply = step.call()
                elif isinstance(step, Load):
                    reply = loop.call(loader)
                else:
                    time.sleep(step.seconds)
            except BaseException as error:  # noqa: BLE001 - the steps decide what becomes of it
                failure = error
    finally:
        flow.close()
        reply = failure = None  # an exception that its own frame refers to is not collected


async def adrive(flow: Steps, loader: Callable[[], Any]) -> Any:
    """Await what the steps ask for, and return what they return."""
    reply: Any = None
    failure: BaseException | None = None
    try:
        while True:
            try:
                step = flow.send(reply) if failure is None else flow.throw(failure)
            except StopIteration as done:
                return done.value
            reply = failure = None
            try:
                reply = await _done(step, loader)
            except BaseException as error:  # noqa: BLE001 - as in drive
                failure = error
    finally:
        flow.close()
        reply = failure = None


async def _done(step: Ask | Load | Pause, loader: Callable[[], Any]) -> Any:
    if isinstance(step, Pause):
        return await asyncio.sleep(step.seconds)
    if isinstance(step, Load):
        result = loader()
        return await result if inspect.isawaitable(result) else result
    asking = asyncio.ensure_future(asyncio.to_thread(step.call))
    try:
        return await asyncio.shield(asking)
    except asyncio.CancelledError:
        # The thread goes on; what it takes on the server is given back only after that.
        await asyncio.wait([asking])
        if not asking.cancelled():
            asking.exception()
        raise
