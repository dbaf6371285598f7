"""A WebSocket server that a test may kill and start again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


class Peer:
    """A WebSocket server in a process of its own, on a port that it keeps."""

    def __init__(self):
        self.port = 0
        self.start()

    def start(self):
        script = Path(__file__).parent / "websocket_peer.py"
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.pid = self._process.pid
        self.port = int(self._process.stdout.readline())

    def url(self, path="/", user=""):
        return f"ws://{user}127.0.0.1:{self.port}{path}"

    def kill(self):
        self._process.kill()
        self._process.wait(10)
        self._process.stdout.close()
