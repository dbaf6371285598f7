"""Redis or Valkey servers of a test's own: alone, as a Cluster, and watched by Sentinels."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import socket
import subprocess
import time

from redis.crc import key_slot

from agentnb.core.redis.binary import find_binary

__all__ = ["PROGRAMS", "Cluster", "Sentinels", "Server", "missing"]

PROGRAMS = ("redis-server", "valkey-server")
_RANGES = ((0, 5460), (5461, 10922), (10923, 16383))
_PORTS = range(15000, 32000)  # below those that the kernel gives to connections
HOST = "127.0.0.1"


def program_of(name):
    """Return the path of Debian's Redis 7 or of the embedded Valkey 9; None if it is not there."""
    return str(find_binary()) if name == "valkey-server" else shutil.which(name)


def missing(name):
    """Return why a server cannot be started, or None."""
    return None if program_of(name) else f"no {name} on PATH ({name})"


def free_ports(count):
    """Return ports on which nothing listens now, and which no connection is given by chance."""
    found = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            port = secrets.choice(_PORTS)
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server((HOST, port)))
                found.append(port)
    return found


class Server:
    """A server on a port of the loopback interface, which may be killed and started again."""

    def __init__(self, folder, *options, program="valkey-server", port=None, host=HOST):
        self.port = port or free_ports(1)[0]
        self.host = host
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        words = ["--port", self.port, "--bind", host, "--dir", folder, "--save", "", *options]
        self.command = [program_of(program), *map(str, words)]
        self.process = None

    def start(self):
        with (self.folder / f"{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        for _ in range(1000):
            with socket.socket() as link:
                if link.connect_ex((self.host, self.port)) == 0:
                    return self
            time.sleep(0.005)
        raise AssertionError((self.folder / f"{self.port}.log").read_text())

    def kill(self):
        """End it without a word."""
        self.process.kill()
        self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()

    def client(self, **options):
        """Return redis-py's own client of it."""
        import redis

        return redis.Redis(self.host, self.port, **options)

    def ask(self, *command, **options):
        """Send a command by redis-py's own client, and return the reply."""
        with self.client(**options) as client:
            return client.execute_command(*command)

    @property
    def url(self):
        return f"redis://{self.host}:{self.port}/0"


class Group:
    """Several servers, which end together."""

    def __init__(self):
        self.servers = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.close()


class Cluster(Group):
    """Three primaries that share the slots, and a replica of the one that has a hash tag's.

    Each starts with the file that it would have written, as after a restart: nothing has to be
    told to it, and it is up after the two seconds that every primary waits then.

    Attributes
    ----------
    node_timeout
        Seconds after which a node that says nothing is taken for dead.
    """

    node_timeout = 1.0

    def __init__(self, folder, program="valkey-server", tag="agentnb"):
        super().__init__()
        slot = key_slot(f"{{{tag}}}".encode())
        self.slot = slot
        at = next(n for n, (low, high) in enumerate(_RANGES) if low <= slot <= high)
        ports = free_ports(8)
        self.ids = [secrets.token_hex(20) for _ in range(4)]
        for number in range(4):
            home = folder / f"node-{number}"
            home.mkdir(parents=True)
            (home / "nodes.conf").write_text(self._nodes(ports, number, at))
            options = {"cluster-enabled": "yes", "cluster-port": ports[number + 4]}
            options |= {"cluster-node-timeout": int(1000 * self.node_timeout), "appendonly": "no"}
            options |= {"cluster-require-full-coverage": "no", "repl-diskless-sync-delay": 0}
            words = [word for name, value in options.items() for word in (f"--{name}", value)]
            self.servers.append(Server(home, *words, program=program, port=ports[number]))
        self.home, self.replica = self.servers[at], self.servers[3]
        self.others = [one for one in self.servers[:3] if one is not self.home]

    def _nodes(self, ports, own, at):
        lines = []
        for number, node in enumerate(self.ids):
            place = f"{node} {HOST}:{ports[number]}@{ports[number + 4]}"
            me = "myself," if number == own else ""
            if number == 3:
                lines.append(f"{place} {me}slave {self.ids[at]} 0 0 {at + 1} connected")
            else:
                low, high = _RANGES[number]
                lines.append(f"{place} {me}master - 0 0 {number + 1} connected {low}-{high}")
        return "\n".join([*lines, "vars currentEpoch 3 lastVoteEpoch 0", ""])

    def start(self):
        for server in self.servers:
            server.start()
        for server in self.servers:
            _wait(lambda server=server: b"cluster_state:ok" in self.info(server))
        _wait(lambda: self.replica.client().info("replication")["master_link_status"] == "up")

    def info(self, server):
        return _raw(server, "CLUSTER", "INFO")

    def move(self, source, target, *, between=None):
        """Move the slot of the hash tag with its keys, as ``redis-cli --cluster reshard`` does."""
        ids = {server: self.ids[self.servers.index(server)] for server in (source, target)}
        slot = self.slot
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        if between is not None:
            between()
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.ask("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *keys)
        for server in (target, source, *self.servers[:3]):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[target])


class Sentinels(Group):
    """A primary, its replica, and three Sentinels that know each other from the start.

    Attributes
    ----------
    down_after
        Seconds after which a primary that says nothing is taken for dead.
    """

    down_after = 1.0

    def __init__(self, folder, program="valkey-server", name="mymaster"):
        super().__init__()
        ports = free_ports(5)
        self.name, self.ports = name, ports[2:]
        quick = ("--repl-diskless-sync-delay", "0")
        self.primary = Server(folder / "one", *quick, program=program, port=ports[0])
        follow = ("--replicaof", HOST, ports[0], *quick)
        self.replica = Server(folder / "two", *follow, program=program, port=ports[1])
        self.watching = []
        ids = [secrets.token_hex(20) for _ in self.ports]
        for number, port in enumerate(self.ports):
            home = folder / f"sentinel-{number}"
            home.mkdir(parents=True)
            lines = [
                f"sentinel myid {ids[number]}",
                f"sentinel monitor {name} {HOST} {ports[0]} 2",
                f"sentinel down-after-milliseconds {name} {int(self.down_after * 1000)}",
                f"sentinel failover-timeout {name} 5000",
                f"sentinel known-replica {name} {HOST} {ports[1]}",
            ]
            for other, (its, node) in enumerate(zip(self.ports, ids, strict=True)):
                if other != number:
                    lines.append(f"sentinel known-sentinel {name} {HOST} {its} {node}")
            (home / "sentinel.conf").write_text("\n".join([*lines, ""]))
            made = Server(home, program=program, port=port)
            words = ["--sentinel", "--port", str(port), "--bind", HOST, "--dir", str(home)]
            made.command = [made.command[0], str(home / "sentinel.conf"), *words]
            self.watching.append(made)
        self.servers = [self.primary, self.replica, *self.watching]

    def start(self):
        for server in self.servers:
            server.start()
        _wait(lambda: self.replica.client().info("replication")["master_link_status"] == "up")

    @property
    def url(self):
        hosts = ",".join(f"{HOST}:{port}" for port in self.ports)
        return f"redis+sentinel://{hosts}/{self.name}/0"


def _raw(server, *command):
    with server.client() as client:
        connection = client.connection_pool.get_connection()
        try:
            connection.send_command(*command)
            return connection.read_response()
        finally:
            client.connection_pool.release(connection)


def _wait(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the servers did not get ready"
        time.sleep(0.01)
