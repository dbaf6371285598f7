"""What the test of best practices does with databases and with services on Redis.

A practice has no meaning for a service whose method for it is None.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import agentnb

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
AWAY = "127.0.0.1:1"


class Service:
    """A service of one test; each method is what a practice is seen by."""

    spans = "db"
    logged = "connected"
    keeps = True  # something open between calls
    home = "warm_home"  # whose server stays, so that it is not waited for
    connection = lose = knock = hang = None

    def __init__(self, request):
        self.request = request

    def settings(self):
        """Return what a hub is connected with, beside its home."""
        return {}

    def reach(self, hub):
        """Call what is away, where `elsewhere` has led."""
        return (self.knock or self.use)(hub)

    def refuse(self, hub):
        """Make a call that the other side refuses."""
        return self.fail(hub)

    def leave(self, hub):
        """Use it so that something is open, which `left` then sees."""
        return self.use(hub)


class Sqlite(Service):
    def use(self, hub):
        return hub.db.query("select 1").scalar()

    def connection(self, hub):
        hub.db.query("select 1")
        return hub.db.engine.pool.checkedin()

    def elsewhere(self):
        return {"database_url": f"postgresql://ada:hunter22@{AWAY}/x"}

    def hang(self, hub):
        hub.db.query(ENDLESS, timeout=0.3)

    def fail(self, hub):
        hub.db.query("select * from nowhere")

    def misuse(self, hub):
        hub.db.query("select :unbound")

    def left(self, _hub):
        return [link for link in open_files() if link.endswith("agentnb.db")]


class Postgresql(Sqlite):
    def settings(self):
        return {"database_url": self.request.getfixturevalue("postgres_url")}

    def far(self, port):
        return {"database_url": f"postgresql://nobody@127.0.0.1:{port}/none"}

    def knock(self, hub):
        return self.use(hub)

    def connection(self, hub):
        return hub.db.query("select pg_backend_pid()").scalar()

    def lose(self, hub):
        """Let the server end the connection that the pool will lend next."""
        pid = self.connection(hub)
        with agentnb.connect(database_url=hub.settings.database_url) as other:
            other.db.query("select pg_terminate_backend(:pid)", {"pid": pid})

    def hang(self, hub):
        hub.db.query("select pg_sleep(60)", timeout=0.3)

    def left(self, hub):
        sql = """select pid from pg_stat_activity
            where application_name = 'agentnb' and pid <> pg_backend_pid()"""
        with agentnb.connect(database_url=hub.settings.database_url) as other:
            return list(other.db.query(sql))


class Workflows(Sqlite):
    def use(self, hub):
        hub.workflows.agent("a")(lambda _task, _ctx: 1)
        return hub.workflows.create("w", [{"name": "t", "agent": "a"}]).id

    def connection(self, hub):
        self.use(hub)
        return hub.db.engine.pool.checkedin()

    def fail(self, hub):
        self.use(hub)
        hub.db.execute(
            "create trigger refuse before insert on agentnb_task "
            "begin select raise(abort, 'not today'); end"
        )
        try:
            self.use(hub)
        finally:
            hub.db.execute("drop trigger refuse")

    def misuse(self, hub):
        hub.workflows.create("w", [{"name": "t", "agent": "a", "data": object()}])


class Redis(Service):
    spans = "redis"
    home = "redis_home"

    def use(self, hub):
        return hub.redis.ping()

    def far(self, port):
        return {"redis_url": f"redis://127.0.0.1:{port}/0"}

    def elsewhere(self):
        return {"redis_url": f"redis://:hunter22@{AWAY}/0"}

    def knock(self, hub):
        """Call what may not be there; a call that has less time gives up sooner."""
        return hub.redis.within(0.2).ping()

    def connection(self, hub):
        """Return how many connections the server has ever had, and the one that is lent."""
        self.use(hub)
        found = hub.redis.client_id()
        return int(hub.redis.info("stats")["total_connections_received"]), found

    def lose(self, hub):
        os.kill(_server(hub), signal.SIGKILL)

    def hang(self, hub):
        self.use(hub)
        with Stopped(hub):
            self.slow(hub)

    def slow(self, hub):
        hub.redis.within(0.3).get("key")

    def fail(self, hub):
        hub.redis.set("text", "x")
        hub.redis.lpush("text", "y")

    def misuse(self, hub):
        hub.redis.within(-1)

    def left(self, hub):
        home = hub.settings.home.resolve() / "redis"
        return [path for path in Path("/proc").glob("[0-9]*/cwd") if target(path) == home]


class OnRedis(Redis):
    """One that is seen by its connections to a server that others use, too."""

    home = "warm_home"

    def __init__(self, request):
        super().__init__(request)
        self.other = request.getfixturevalue("warm_hub").redis
        self.before = self._connected()

    def _connected(self):
        return {one["id"] for one in self.other.client_list()}

    def left(self, _hub):
        return self._connected() - self.before


class Cache(OnRedis):
    knock = None

    def use(self, hub):
        return hub.cache.get_or_set("key", lambda: 1)

    def slow(self, hub):
        hub.cache._redis = hub.redis.within(0.3)
        hub.cache.get("key")

    def fail(self, hub):
        key = hub.cache._keys.cache("list")
        hub.redis.delete(key)
        hub.redis.lpush(key, "x")
        hub.cache.get("list")

    def misuse(self, hub):
        hub.cache.set("key", object())


class Queue(OnRedis):
    spans = "queue"

    def use(self, hub):
        return hub.queue("q").add(1).id

    def knock(self, hub):
        return hub.queues.within(0.2).get_queue("q").add(1)

    def slow(self, hub):
        hub.queues.within(0.3).get_queue("q").counts()

    def fail(self, hub):
        hub.redis.set(f"{hub.queue('bad')._parts.store.base}:wait", "text")
        hub.queue("bad").add(1)

    def misuse(self, hub):
        hub.queue("q").add(object())


class Events(OnRedis):
    spans = "events"

    def use(self, hub):
        return hub.events.publish("made", 1).id

    def knock(self, hub):
        """Read, since what is published waits for the server."""
        return _reading(hub, 0.2)

    def slow(self, hub):
        _reading(hub, 0.3)

    def fail(self, hub):
        key = hub.events._event_log.key
        hub.redis.delete(key)
        hub.redis.set(key, "text")
        try:
            hub.events.history("made")
        finally:
            hub.redis.delete(key)

    def misuse(self, hub):
        hub.events.publish("made", object())


def _reading(hub, seconds):
    bus = agentnb.core.events.EventBus(hub.redis.within(seconds))
    try:
        return bus.history("made")
    finally:
        bus.close(0)


def _server(hub):
    return int(hub.redis.info("server")["process_id"])


class Stopped:
    """A server that is frozen for the length of a block."""

    def __init__(self, hub):
        self.pid = _server(hub)

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


def open_files():
    """Return what the open files of this process are, as the system names them."""
    return [str(target(path)) for path in Path("/proc/self/fd").iterdir()]


def target(path):
    """Return what a link of the system's leads to, or None if it has gone."""
    try:
        return path.readlink()
    except OSError:
        return None
