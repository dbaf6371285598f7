from __future__ import annotations

import asyncio
import threading

from agentnb.core.signals import AsyncSignal

LONG = 30


def test_a_signal_of_another_thread_ends_the_wait():
    async def main():
        signal = AsyncSignal()
        signal.attach()
        signal.clear()
        threading.Timer(0.05, signal).start()
        await asyncio.wait_for(signal.wait(), LONG)

    asyncio.run(main())


def test_a_signal_between_the_look_and_the_wait_is_not_lost():
    async def main():
        signal = AsyncSignal()
        signal.attach()
        signal.clear()
        await asyncio.to_thread(signal)
        await asyncio.wait_for(signal.wait(), LONG)
        signal.clear()
        waiting = asyncio.ensure_future(signal.wait())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(main())


def test_a_signal_after_the_end_of_its_loop_does_nothing():
    signal = AsyncSignal()
    signal()

    async def main():
        return signal.attach(), signal.attach()

    assert asyncio.run(main()) == (True, False)
    signal()
