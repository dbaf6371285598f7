"""What the test of best practices does with servers, engines, repositories and folders."""

from __future__ import annotations

import os
import resource
import socket
from contextlib import suppress
from pathlib import Path

from agentnb.core.errors import AgentnbError, DeadlineExceeded
from tests.core.api_server import drips, resets, says
from tests.waiting import until

from .services import AWAY, Service, open_files, target


class Outside(Service):
    """One that is seen by the sockets of this process which it opened."""

    def __init__(self, request):
        super().__init__(request)
        self.begin()
        self.before = _sockets()

    def begin(self):
        """Start what has to be there."""

    def connection(self, hub):
        self.use(hub)
        return frozenset(self.left(hub))

    def left(self, _hub):
        return _sockets() - self.before


class Api(Outside):
    spans = "api"
    logged = "API response GET"

    def begin(self):
        self.web = self.request.getfixturevalue("web")
        self.web.on("/x", says(200, "there"))

    def use(self, hub):
        return hub.api(self.web.url).get("/x")

    def far(self, port):
        self.url = f"http://127.0.0.1:{port}"
        return {}

    def elsewhere(self):
        return {"github_url": f"http://{AWAY}", "github_token": "hunter22"}

    def reach(self, hub):
        return hub.github.client.get("/x", retries=0)

    def knock(self, hub):
        return hub.api(self.url).get("/x", retries=0)

    def lose(self, _hub):
        self.web.on("/x", resets, says(200, "there"))

    def hang(self, hub):
        self.web.on("/hang", drips)
        hub.api(self.web.url).get("/hang", timeout=0.3)

    def fail(self, hub):
        self.web.on("/bad", says(200, raw=b"{", kind="application/json"))
        hub.api(self.web.url).get("/bad")

    def refuse(self, hub):
        hub.api(self.web.url).get("/nowhere")

    def misuse(self, hub):
        hub.api(self.web.url).post("/x", object())


class WebSocket(Outside):
    spans = "websocket"
    logged = "WebSocket connected"

    def begin(self):
        self.peer = self.request.getfixturevalue("peer")

    def client(self, hub, path="/"):
        return hub.websocket(self.peer.url(path), reconnect=0.05)

    def use(self, hub):
        client = self.client(hub)
        if client.state == "new":
            client.connect()
        until(lambda: client.connected)
        assert client.send(1)
        return client.receive()

    def elsewhere(self):
        monkeypatch = self.request.getfixturevalue("monkeypatch")
        monkeypatch.setenv("PEER_URL", f"ws://{AWAY}/?token=hunter22")
        return {}

    def reach(self, hub):
        client = hub.websocket(hub.variable("PEER_URL").reveal())
        client.connect()
        client.ping()

    def lose(self, hub):
        self.peer.kill()
        until(lambda: not self.client(hub).connected)
        self.peer.start()

    def hang(self, hub):
        client = self.client(hub)
        client.connect()
        client.receive(0.3)

    def fail(self, hub):
        self.client(hub, "/status?code=401").connect()

    def misuse(self, hub):
        self.client(hub).send(object())


class Docker(Outside):
    spans = "docker"
    logged = "container started"

    def begin(self):
        self.image = self.request.getfixturevalue("docker_image")
        self.engine = self.request.getfixturevalue("docker_engine")

    def settings(self):
        return {"docker_host": os.environ.get("DOCKER_HOST")}

    def use(self, hub):
        return hub.docker.list()

    def elsewhere(self):
        return {"docker_host": f"tcp://{AWAY}"}

    def lose(self, hub):
        """Let the connections end, as an engine does that is started again."""
        for path in Path("/proc/self/fd").iterdir():
            if str(target(path)) in self.left(hub):
                with socket.socket(fileno=os.dup(int(path.name))) as link:
                    link.shutdown(socket.SHUT_RDWR)

    def hang(self, hub):
        hub.docker.exec(self.leave(hub), ["sleep", "60"], timeout=0.3)

    def fail(self, hub):
        hub.docker.run_container("agentnb-none:1", ["true"])

    def misuse(self, hub):
        hub.docker.run_container(self.image, ["true"], memory=-1)

    def leave(self, hub):
        made = hub.docker.run_container(self.image, ["sleep", "60"])
        self.owner = hub.docker._connection.open().session.owner.id
        return made

    def left(self, _hub):
        sockets = _sockets()
        containers = set()
        if hasattr(self, "owner"):
            label = {"label": [f"agentnb.container.owner={self.owner}"]}
            found = self.engine.containers(all=True, filters=label)
            containers = {one["Id"] for one in found}
        left = (sockets - self.before) | containers
        self.before |= _sockets() - sockets  # those of this question
        return left


class Git(Outside):
    spans = "git"
    logged = "changes committed"
    keeps = False
    connection = None

    def begin(self):
        self.deaf = socket.create_server(("127.0.0.1", 0))
        self.request.addfinalizer(self.deaf.close)

    def use(self, hub):
        hub.files.write_file("r/a.py", os.urandom(8).hex())
        git = hub.repo("r")
        if not (git.path / ".git").exists():
            git.initialize()
        return git.commit("again", paths=["a.py"])

    def elsewhere(self):
        return {"git_credentials": f"https://ada:hunter22@{AWAY}"}

    def reach(self, hub):
        hub.files.ensure_directory("r")
        hub.repo("r").clone(f"https://{AWAY}/x.git", "far")

    def hang(self, hub):
        url = f"http://127.0.0.1:{self.deaf.getsockname()[1]}/x.git"
        hub.repo("r").clone(url, "late", timeout=0.3)

    def fail(self, hub):
        hub.repo("r").log(revision="nowhere")

    def misuse(self, hub):
        self.use(hub)
        hub.repo("r").commit("")

    def leave(self, hub):
        """Let a command be at work, and be ended."""
        self.use(hub)
        with suppress(DeadlineExceeded):
            self.hang(hub)

    def left(self, hub):
        folder = hub.settings.workspace
        unfinished = [*folder.rglob("*.lock"), *folder.rglob("*cloning*"), *folder.rglob("late")]
        return super().left(hub) | set(unfinished) | set(_children())


class Files(Outside):
    spans = "files"
    logged = "failed to read file"
    keeps = False
    connection = hang = elsewhere = None

    def use(self, hub):
        hub.files.write_file("a", "text")
        return hub.files.read_file("a")

    def fail(self, hub):
        hub.files.read_file("nowhere")

    def misuse(self, hub):
        hub.files.write_file("a", object())

    def leave(self, hub):
        """Let a file be written of which a part only finds room."""
        self.use(hub)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            hub.files.write_file("b", "x" * 200_000)
        except AgentnbError as error:
            return error
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        raise AssertionError("it was written")

    def left(self, hub):
        folder = hub.settings.workspace
        strange = [path for path in folder.iterdir() if path.name != "a"]
        return [link for link in open_files() if link.startswith(str(folder))] + strange


def _sockets():
    return {link for link in open_files() if link.startswith("socket:")}


def _children():
    words = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    found = []
    for pid in words:
        with suppress(OSError):
            found.append(Path(f"/proc/{pid}/comm").read_text().strip())
    return [name for name in found if name.startswith("git")]
