"""A worker that is killed while it streams: readers see each word once in the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

WORDS = ("one ", "two ", "three ", "four")
WORKER = """
import sys, time
from agentnb.core.api import APIClient
from agentnb.core.db import Database
from agentnb.core.workflow import Orchestrator, Task

flows = Orchestrator(Database("sqlite:///streams.db"), lease=1, owns_database=True)
client = APIClient(sys.argv[1])

@flows.agent("write", backoff=0.01)
def write(task, ctx):
    with client.stream("POST", "/chat", {"stream": True}) as reply:
        for event in reply.events():
            ctx.write(event.json()["token"])

flows.create("x", [Task("write")], key="once")
flows.work()
print("works", flush=True)
sys.stdin.readline()
"""
READER = """
import json
from agentnb.core.db import Database
from agentnb.core.workflow import Orchestrator

with Orchestrator(Database("sqlite:///streams.db"), owns_database=True) as flows:
    for chunk in flows.list()[0].stream("write"):
        print(json.dumps([chunk.value, chunk.n, chunk.reset]), flush=True)
"""


class _Chat(BaseHTTPRequestHandler):
    """Answers with four events; the first reply hangs after two of them."""

    def do_POST(self):
        server = self.server
        self.rfile.read(int(self.headers["content-length"]))
        server.asked += 1
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for number, word in enumerate(WORDS):
            if server.asked == 1 and number == 2:
                server.done.wait(60)
                return
            self.wfile.write(f"data: {json.dumps({'token': word})}\n\n".encode())
            self.wfile.flush()

    def log_message(self, *_):
        pass


@pytest.fixture
def chat():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Chat)
    server.asked, server.done = 0, threading.Event()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.done.set()
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def start(tmp_path):
    """Return what starts a script in a process of its own, in the folder of the test."""
    with ExitStack() as stack:

        def start(script, *words):
            process = subprocess.Popen(
                [sys.executable, "-c", script, *words],
                cwd=tmp_path,
                env=os.environ | {"AGENTNB_HOME": str(tmp_path / "home")},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.stdout.close)
            stack.callback(process.stdin.close)
            stack.callback(process.wait, 20)
            stack.callback(process.kill)
            return process

        yield start


def test_a_worker_that_is_killed_in_mid_stream_leaves_no_half_text(chat, start):
    url = f"http://127.0.0.1:{chat.server_port}"
    first = start(WORKER, url)
    assert first.stdout.readline() == "works\n"
    attached = start(READER)
    seen = [json.loads(attached.stdout.readline()) for _ in range(2)]
    assert seen == [["one ", 1, False], ["two ", 2, False]]
    first.kill()
    second = start(WORKER, url)
    assert second.stdout.readline() == "works\n"

    seen = [json.loads(line) for line in attached.stdout]
    assert seen == [[None, 0, True], *([word, n, False] for n, word in enumerate(WORDS, 1))]
    later = start(READER)
    assert [json.loads(line)[0] for line in later.stdout] == list(WORDS)
    assert chat.asked == 2
