"""Only agentnb's own loggers speak, and nothing is printed, whatever a service logs with."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading

import pytest

from agentnb.core.trace.quiet import quiet

CALLS = """
import http.server, logging, sys, threading, time
{structlog}
logging.basicConfig(level=logging.INFO, format="%(name)s|%(levelname)s|%(message)s")
import agentnb, agentnb.core.workflow
from agentnb.core.errors import AgentnbError

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"[]")
    def log_message(self, *_): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()

def fails(call):
    try:
        call()
    except AgentnbError:
        return
    raise AssertionError(call)

docker = "tcp://127.0.0.1:1"
with agentnb.connect(home=sys.argv[1], workspace=sys.argv[2], docker_host=docker) as hub:
    hub.db.query("select 1")
    fails(lambda: hub.db.query("selec 1"))
    hub.cache.get_or_set("a", lambda: 1)
    subscription = hub.events.subscribe("a", lambda event: 1 / 0)
    hub.events.publish("a", 1)
    while not subscription.failed:
        time.sleep(0.01)
    subscription.close()
    queue = hub.queue("q")
    queue.huey
    worker = queue.work(lambda job: 1 / job.data)
    queue.add(1).result(10)
    fails(lambda: queue.add(0, attempts=1).result(10))
    worker.stop()
    hub.workflows.agent("t")(lambda task, ctx: 1)
    hub.workflows.work()
    hub.workflows.create("w", tasks=[agentnb.core.workflow.Task("t")]).wait(20)
    hub.files.write_file("a.txt", "a")
    repo = hub.repo(".")
    repo.initialize()
    repo.add_files(["a.txt"])
    fails(lambda: repo.switch("nothing"))
    hub.api(f"http://127.0.0.1:{{server.server_port}}").get("/")
    fails(lambda: hub.api("http://127.0.0.1:1").get("/"))
    hub.websocket("ws://127.0.0.1:1").connect(timeout=2)
    fails(hub.docker.ping)
away = agentnb.connect(
    home=sys.argv[1], workspace=sys.argv[2],
    database_url="postgresql://u:p@127.0.0.1:1/x",
    redis_url="redis://127.0.0.1:1/0",
)
fails(lambda: away.db.query("select 1"))
fails(lambda: away.cache.get("a"))
away.close()
"""


@pytest.mark.parametrize("structlog", ["import structlog", ""], ids=["structlog", "plain"])
def test_a_service_logs_under_agentnb_only_and_prints_nothing(tmp_path, structlog):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            CALLS.format(structlog=structlog),
            f"{tmp_path}/home",
            f"{tmp_path}/work",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    loggers = set(
        re.findall(r"^([\w.]+)\|(?:DEBUG|INFO|WARNING|ERROR)\|", done.stderr, re.MULTILINE)
    )
    assert {name.partition(".")[0] for name in loggers} == {"agentnb"}
    spoken = ("api", "db", "events", "queue", "redis", "websocket", "workflow")
    assert loggers >= {f"agentnb.{service}" for service in spoken}


def test_only_what_a_call_of_agentnbs_logs_is_dropped_and_no_warning(caplog):
    caplog.set_level(logging.INFO)
    library = logging.getLogger("a.library")
    with quiet("a.library"):
        library.info("of the call")
        library.warning("a warning of the call")
        thread = threading.Thread(target=library.info, args=("of the user's thread",))
        thread.start()
        thread.join()
    library.info("of the user")
    said = [record.message for record in caplog.records if record.name == library.name]
    assert said == ["a warning of the call", "of the user's thread", "of the user"]
