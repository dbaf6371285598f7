"""The two drivers of the steps of `get_or_set`: one waits, one awaits."""

from __future__ import annotations

import asyncio
import inspect
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from agentnb.core import sansio
from agentnb.core.cache.loading import Ask, Load, Pause

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.cache.loading import Steps
    from agentnb.core.loop import LoopThread

__all__ = ["adrive", "drive"]


def drive(flow: Steps, loader: Callable[[], Any], loop: LoopThread) -> Any:
    """Do what the steps ask for, and return what they return."""

    def do(step: Ask | Load | Pause) -> Any:
        if isinstance(step, Ask):
            return step.call()
        if isinstance(step, Load):
            return loop.call(loader)
        return time.sleep(step.seconds)

    return sansio.run(flow, do)


async def adrive(flow: Steps, loader: Callable[[], Any]) -> Any:
    """Await what the steps ask for, and return what they return."""
    return await sansio.arun(flow, partial(_done, loader))


async def _done(loader: Callable[[], Any], step: Ask | Load | Pause) -> Any:
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
