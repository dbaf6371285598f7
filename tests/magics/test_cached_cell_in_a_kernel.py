"""%%cache where it is used: in a kernel, whose tracebacks and interrupts are its own."""

from __future__ import annotations

import pytest


def test_a_traceback_shows_the_lines_of_the_cell_only(kernel):
    _, raised = kernel.run("%%cache broken\nvalue = 1\nvalue / 0  # the user's line")
    assert "----> 3 value / 0  # the user's line" in raised
    assert "ZeroDivisionError" in raised
    assert "agentnb" not in raised
    assert kernel.run("hub.cache.keys('broken')") == ("[]", "")


def test_a_traceback_after_an_await_shows_the_line_too(kernel):
    _, raised = kernel.run(
        "%%cache broken\nimport asyncio\nawait asyncio.sleep(0)\nawait asyncio.sleep(0, 1) / 0"
    )
    assert "----> 4 await asyncio.sleep(0, 1) / 0" in raised
    assert "concurrent" not in raised
    assert "agentnb" not in raised


def test_what_an_awaiting_cell_prints_is_shown_in_its_cell(kernel):
    source = "%%cache printed\nimport asyncio\nawait asyncio.sleep(0.05)\nprint('once')\n7"
    assert kernel.run(source) == ("once\n7", "")
    assert kernel.run(source) == ("once\n7", "")


@pytest.mark.parametrize("sleep", ["import time; time.sleep(60)", "await asyncio.sleep(60)"])
def test_an_interrupted_cell_stops_and_keeps_nothing(kernel, sleep):
    source = f"%%cache stopped\nimport asyncio\nprint('begun')\n{sleep}"
    shown, raised = kernel.run(source, when_printed=kernel.manager.interrupt_kernel)
    assert shown == "begun\n"
    assert "KeyboardInterrupt" in raised
    assert kernel.run("hub.cache.keys('stopped')") == ("[]", "")
