"""The engine's connection to a program: what comes early, and what is left of it."""

from __future__ import annotations

import contextlib
import gc
import json
import shutil
import socket
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agentnb.core.docker import DockerManager
from agentnb.core.docker.endpoint import not_docker
from agentnb.core.errors import ConfigError, DeadlineExceeded, NotFoundError, RejectedError

UPGRADED = b"HTTP/1.1 101"


@contextlib.contextmanager
def way_to(engine_socket, *, asked=lambda data: data, hasty=False):
    """Return the URL of a way to the engine that changes what is asked, or what is answered.

    On a hasty one a program's output comes with the headers.
    """
    folder = Path(tempfile.mkdtemp(prefix="agentnb-hasty-", dir="/tmp"))
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(folder / "s"))
        door.listen()
        threads = []

        def pump(source, target, *, back):
            with contextlib.suppress(OSError):
                while data := source.recv(65_536):
                    data = data if back else asked(data)
                    if hasty and back and data.startswith(UPGRADED):
                        data += source.recv(65_536)  # the output's first piece
                    target.sendall(data)
            for link in (source, target):
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)

        def serve():
            with contextlib.ExitStack() as links, contextlib.suppress(OSError):
                while True:
                    client = links.enter_context(door.accept()[0])
                    server = links.enter_context(socket.socket(socket.AF_UNIX))
                    server.connect(engine_socket)
                    for ends in ((client, server, False), (server, client, True)):
                        one = threading.Thread(
                            target=pump, args=ends[:2], kwargs={"back": ends[2]}, daemon=True
                        )
                        threads.append(one)
                        one.start()

        main = threading.Thread(target=serve, daemon=True)
        main.start()
        try:
            yield f"unix://{folder}/s"
        finally:
            door.shutdown(socket.SHUT_RDWR)
            for one in (main, *threads):
                one.join(5)
            shutil.rmtree(folder)


@pytest.fixture
def way(engine_socket):
    """Return a function that opens such a way, up to the end of the test."""
    with contextlib.ExitStack() as ways:
        yield lambda **options: ways.enter_context(way_to(engine_socket, **options))


def test_what_comes_with_the_headers_is_not_lost(way, make_docker, docker_image):
    docker = make_docker(host=way(hasty=True))
    sleeper = docker.run_container(docker_image, ["sleep", "300"])
    assert docker.exec(sleeper, ["echo", "first"]).stdout == "first\n"


def test_where_nobody_may_ask_for_networks_containers_work_all_the_same(
    way, make_docker, docker_image
):
    docker = make_docker(host=way(asked=lambda data: data.replace(b"/networks", b"/nosuchxx")))
    assert docker.run(docker_image, "echo hi").stdout == "hi\n"
    with pytest.raises(NotFoundError):
        docker.networks()
    docker.run_container(docker_image, "sleep 60")
    docker.close()
    assert docker.list().rows == []


def sockets():
    """Return how many sockets this process has open."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += str(link.readlink()).startswith("socket:")
    return found


def test_a_wire_is_closed_though_its_error_is_kept(docker, docker_image):
    gc.collect()
    before = sockets()
    sleeper = docker.run_container(docker_image, ["sleep", "300"])
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        with pytest.raises(RejectedError) as taken:  # it was attached to before it was started
            docker.run(docker_image, ["true"], policy="network", ports={80: port})
    with pytest.raises(DeadlineExceeded) as slow:
        docker.exec(sleeper, ["sleep", "300"], timeout=0.2)
    with pytest.raises(ZeroDivisionError) as ours:
        docker.exec(sleeper, ["echo", "one"], on_line=lambda _: 1 / 0)
    docker.engine.close()
    assert sockets() <= before
    assert all(kept.tb for kept in (taken, slow, ours))


# As Podman 4.3.1 of Debian 12 answers at /version, shortened to what is read.
PODMAN = {
    "Platform": {"Name": "linux/amd64/debian-12"},
    "Components": [
        {"Name": "Podman Engine", "Version": "4.3.1", "Details": {"APIVersion": "4.3.1"}},
        {"Name": "Conmon", "Version": "conmon version 2.1.6, commit: unknown"},
        {"Name": "OCI Runtime (crun)", "Version": "crun version 1.8.1"},
    ],
    "Version": "4.3.1",
    "ApiVersion": "1.41",
    "MinAPIVersion": "1.24",
}


def test_podman_is_refused_at_the_first_call_with_the_reason(tmp_path):
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(PODMAN).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            docker = DockerManager(f"tcp://127.0.0.1:{server.server_port}", home=tmp_path)
            for call in (docker.list, docker.ping, lambda: docker.run("x", "true")):
                with pytest.raises(ConfigError, match=r"Podman 4.3.1, which is not supp") as caught:
                    call()
                assert "DOCKER_HOST" in caught.value.hint
            docker.close()
        finally:
            server.shutdown()
            thread.join()
    assert not_docker({"Components": [{"Name": "Engine", "Version": "20.10.24"}]}) is None
    assert not_docker({"Version": "1.12"}) is None
