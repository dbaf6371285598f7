"""Other orchestrators: many no-op tasks, one after the other and all at once.

Each is made in a process of its own, and each call returns when everything is done.
"""

from __future__ import annotations

import os
import subprocess
import sys

THREADS = 4


def noop(*_, **__):
    """Do nothing, as what takes the time is everything around it."""
    return 1


class Dbos:
    """DBOS on a SQLite file: a chain is the steps of a workflow, a fan-out goes through a queue."""

    settings = ()

    def __init__(self, folder, path):  # noqa: ARG002 - it uses no server
        from dbos import DBOS
        from sqlalchemy import create_engine, event

        self.dbos = DBOS
        url = f"sqlite:///{folder}/{type(self).__name__}.sqlite"
        made = {"name": "bench", "system_database_url": url, "log_level": "ERROR"}
        if self.settings:
            made["system_database_engine"] = engine = create_engine(url)
            event.listen(engine, "connect", self._set)
        DBOS(config=made | {"run_admin_server": False})
        step = DBOS.step()(noop)

        def one(n):
            return step(n)

        def chain(count):
            for n in range(count):
                step(n)

        self.one = DBOS.workflow(name="one")(one)
        self.steps = DBOS.workflow(name="chain")(chain)
        DBOS.launch()
        # A limit to how many run at once would let it look for more only once a second.
        self.queue = DBOS.register_queue("bench")

    def _set(self, connection, _):
        for setting in self.settings:
            connection.execute(f"pragma {setting}")

    def chain(self, count):
        self.steps(count)

    def fan(self, count):
        for handle in [self.queue.enqueue(self.one, n) for n in range(count)]:
            handle.get_result()

    def stop(self):
        self.dbos.destroy()


class DbosAsOurs(Dbos):
    """DBOS with the settings that our SQLite has, and every workflow started at once."""

    settings = ("journal_mode = wal", "synchronous = normal", "busy_timeout = 30000")

    def fan(self, count):
        for handle in [self.dbos.start_workflow(self.one, n) for n in range(count)]:
            handle.get_result()


class Prefect:
    """Prefect with the server that it starts by itself, on a SQLite file."""

    def __init__(self, folder, path):  # noqa: ARG002 - it uses no server
        os.environ |= {
            "PREFECT_HOME": f"{folder}/prefect",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "60",
            "DO_NOT_TRACK": "1",
        }
        from prefect import flow, task
        from prefect.task_runners import ThreadPoolTaskRunner

        one = task(noop, name="noop")

        def chain(count: int):
            for n in range(count):
                one(n)

        def fan(count: int):
            for future in one.map(range(count)):
                future.result()

        self.chain = flow(chain, name="chain")
        self.fan = flow(fan, name="fan", task_runner=ThreadPoolTaskRunner(max_workers=THREADS))

    def stop(self):
        from prefect.server.api.server import SubprocessASGIServer

        for server in list(SubprocessASGIServer._instances.values()):
            server.stop()


_CELERY = """
import sys
from celery import Celery
url = f"redis+socket://{sys.argv[1]}"
app = Celery("bench", broker=url, backend=url)
@app.task(name="bench.noop")
def noop(*_):
    return 1
app.worker_main(["worker", "--pool=threads", f"--concurrency={sys.argv[2]}", "--loglevel=ERROR",
                 "--without-gossip", "--without-mingle", "--without-heartbeat"])
"""


class Celery:
    """Celery on the embedded server, with a worker in a process of its own, as it wants to be."""

    def __init__(self, folder, path):  # noqa: ARG002 - it keeps everything on the server
        from celery import Celery as App

        url = f"redis+socket://{path}"
        self.app = App("bench", broker=url, backend=url)
        self.task = self.app.task(name="bench.noop")(noop)
        self.worker = subprocess.Popen(
            [sys.executable, "-c", _CELERY, path, str(THREADS)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def chain(self, count):
        from celery import chain

        chain(self.task.si(n) for n in range(count)).delay().get(timeout=60)

    def fan(self, count):
        from celery import group

        group(self.task.si(n) for n in range(count)).delay().get(timeout=60)

    def stop(self):
        self.worker.terminate()
        self.worker.wait(30)
        self.app.close()


class Huey:
    """huey's pipeline: it keeps no record of what it has done, and loses what it was doing."""

    def __init__(self, folder, path):  # noqa: ARG002 - it keeps everything on the server
        from huey import PriorityRedisHuey

        self.huey = PriorityRedisHuey("bench", url=f"unix://{path}")
        self.task = self.huey.task(name="noop")(noop)
        self.consumer = self.huey.create_consumer(workers=THREADS, periodic=False)
        self.consumer._set_signal_handlers = lambda: None
        self.consumer.start()

    def chain(self, count):
        pipeline = self.task.s(0)
        for _ in range(1, count):
            pipeline = pipeline.then(self.task)
        for result in self.huey.enqueue(pipeline):
            result.get(blocking=True, timeout=60, backoff=1, max_delay=0.002)

    def fan(self, count):
        for result in [self.task(n) for n in range(count)]:
            result.get(blocking=True, timeout=60, backoff=1, max_delay=0.002)

    def stop(self):
        self.consumer.stop(graceful=True)
