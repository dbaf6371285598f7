"""What ``%ws`` shows, as a person sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PEER = Path(__file__).parents[1] / "core" / "websocket_peer.py"


@pytest.fixture
def peer():
    process = subprocess.Popen(
        [sys.executable, str(PEER)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    yield f"ws://127.0.0.1:{int(process.stdout.readline())}"
    process.kill()
    process.wait()
    process.stdout.close()


def test_messages_and_the_state_of_the_lines_are_read_in_light_and_dark(lab, peer):
    lab.write(
        "ws.ipynb",
        "%load_ext agentnb",
        f"%ws connect {peer}/",
        '%ws send {"type": "subscribe", "channels": ["workflows", "<b>bold</b>"]}',
        "%ws tail --count 1",
        "%ws connect ws://127.0.0.1:1/nobody",
        "%ws list",
        f'%ws send {{"lost": true}} --client {peer}/nowhere',
    )
    lab.open("ws.ipynb")
    lab.run_all()
    lab.output(5).get_by_role("cell", name="connected").wait_for()
    assert lab.cell_output_text(1).strip() == f"connected to {peer}/"
    assert "<b>bold</b>" in lab.cell_output_text(3)
    assert "cannot connect" in lab.cell_output_text(4)
    assert "there is no WebSocket" in lab.cell_output_text(6)
    lab.screenshot("ws", dark=True)
