"""The verbs and options of ``%docker``."""

from __future__ import annotations

from typing import Any

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import alone, names, pair, pairs

__all__ = ["GRAMMAR"]


def _ports(value: Any) -> dict[int, int | None]:
    """Return ``8000,9000:80`` as docker has it: the port outside stands in front."""
    if isinstance(value, dict):
        return dict(value)
    found: dict[int, int | None] = {}
    for part in str(value).split(","):
        outside, colon, inside = part.rpartition(":")
        if int(inside) in found:
            raise ValueError(f"{inside} is there twice")
        found[int(inside)] = int(outside) if colon else None
    return found


_POLICY = Option(
    ("--policy",), "what it may do; %docker shows which there are", "NAME", live="policy"
)
_TIMEOUT = Option(("--timeout",), "seconds at most", "SECONDS", float)
_ENV = Option(
    ("-e", "--env"),
    "variables: NAME=VALUE, A=1,B=2, or :name of a dictionary",
    "NAME=VALUE",
    pairs,
    adds=True,
    whole=pair,
)
_PULL = Option(("--pull",), "which images are fetched: missing, always or never", "WHEN")
_ENV_FILE = Option(
    ("--env-file",), "files of variables, NAME=VALUE a line", "PATHS", names, adds=True, whole=alone
)
_NO_CHECK = Option(("--no-check",), "return the result whatever the exit code is")
_WORKDIR = Option(("--workdir",), "the folder inside that it starts in", "PATH")

_OF_A_CONTAINER = (
    Option(("--name",), "what it is called", "NAME"),
    _ENV,
    _ENV_FILE,
    Option(("--memory",), "bytes at most, such as 256m", "BYTES"),
    Option(("--cpus",), "processors at most", "N", float),
    Option(("--pids",), "processes at most", "N", int),
    Option(
        ("-p", "--ports"),
        "publish on 127.0.0.1: [HERE:]THERE",
        "PORTS",
        _ports,
        adds=True,
    ),
    Option(("--user",), "who it runs as, in numbers", "UID[:GID]"),
    _WORKDIR,
    Option(
        ("--files",),
        "copies of these files, in /mnt/work",
        "PATHS",
        names,
        adds=True,
        whole=alone,
    ),
    Option(("--network",), "a network of %docker network", "NAME", live="network"),
    Option(("--alias",), "another name on that network", "NAME", needs=("network",)),
    Option(("--platform",), "the image's, such as linux/arm64", "OS/ARCH"),
    Option(("--entrypoint",), "the program, before the command's words", "COMMAND"),
    _PULL,
    _POLICY,
)

GRAMMAR = Grammar(
    "docker",
    "containers and images of this home, on a Docker engine",
    (
        Verb(
            "ps",
            "our containers, those that have ended too",
            twin="hub.docker.list()",
        ),
        Verb(
            "images",
            "the images that were built here",
            twin="hub.docker.images()",
        ),
        Verb(
            "build",
            "build an image from a folder, or from the Dockerfile in the cell",
            ("[FOLDER]",),
            (
                Option(("-t", "--tag"), "its name, such as app:latest", "TAG", live="image"),
                Option(("-f", "--file"), "the Dockerfile's path in the folder", "PATH"),
                Option(
                    ("--arg",),
                    "the build's arguments; no secrets",
                    "NAME=VALUE",
                    pairs,
                    adds=True,
                    whole=pair,
                ),
                Option(("--target",), "the stage to build", "STAGE"),
                Option(
                    ("--secret",),
                    "a file that RUN --mount=type=secret reads",
                    "ID=FILE",
                    pairs,
                    adds=True,
                    whole=pair,
                ),
                _PULL,
                Option(("--fresh",), "run every step, whatever was built before"),
                _POLICY,
                _TIMEOUT,
            ),
            cell=True,
            twin="hub.docker.build_image(FOLDER, TAG, text=..., args=...)",
        ),
        Verb(
            "pull",
            "fetch an image from its registry",
            ("IMAGE",),
            (
                Option(("--platform",), "such as linux/arm64", "OS/ARCH"),
                _TIMEOUT,
            ),
            twin="hub.docker.pull(IMAGE)",
        ),
        Verb(
            "run",
            "run a command, or the script in the cell, to its end",
            ("IMAGE",),
            (
                Option(("-d", "--detach"), "return while it runs"),
                *_OF_A_CONTAINER,
                Option(("--keep",), "with -d: let it outlive this kernel"),
                _NO_CHECK,
                _TIMEOUT,
            ),
            live=("image",),
            cell=True,
            rest="[-- COMMAND]",
            twin="hub.docker.run(IMAGE, COMMAND, script=...), or .run_container(IMAGE, COMMAND)",
        ),
        Verb(
            "service",
            "start a database or the like, and return it when it is ready",
            ("IMAGE",),
            (
                Option(("--port",), "the port inside; its url is of 127.0.0.1", "PORT", int),
                Option(("--ready",), "ready once a line of its log holds this", "TEXT"),
                Option(("--scheme",), "what its url begins with, such as redis", "NAME"),
                *_OF_A_CONTAINER,
                _TIMEOUT,
            ),
            live=("image",),
            rest="[-- COMMAND]",
            twin="hub.docker.service(IMAGE, COMMAND, port=..., ready=...)",
        ),
        Verb(
            "network",
            "the networks of this home; with a name, make it",
            ("[NAME]",),
            (Option(("--remove",), "remove it"),),
            live=("network",),
            twin="hub.docker.network(NAME), .networks() or .remove_network(NAME)",
        ),
        Verb(
            "logs",
            "what a container has printed",
            ("NAME",),
            (
                Option(("-n", "--tail"), "the last so many lines", "LINES", int),
                Option(("--since",), "of the last so many seconds", "SECONDS", float),
                Option(("--grep",), "lines that hold a text", "TEXT"),
                Option(("-f", "--follow"), "go on while it runs; interrupt the cell to end"),
                _TIMEOUT,
            ),
            live=("container",),
            twin="hub.docker.get_container_logs(NAME, tail=..., follow=...)",
        ),
        Verb(
            "exec",
            "run a command in a container; the cell, if any, is its input",
            ("NAME",),
            (
                _ENV,
                _ENV_FILE,
                _WORKDIR,
                Option(("--user",), "who it runs as", "UID[:GID]"),
                _NO_CHECK,
                _TIMEOUT,
            ),
            live=("container",),
            cell=True,
            rest="-- COMMAND",
            twin="hub.docker.exec(NAME, COMMAND, stdin=...)",
        ),
        Verb(
            "start",
            "start a container that has ended",
            ("NAME",),
            live=("container",),
            twin="hub.docker.start_container(NAME)",
        ),
        Verb(
            "inspect",
            "all that the engine says of a container, as a dictionary",
            ("NAME",),
            live=("container",),
            twin="hub.docker.inspect(NAME)",
        ),
        Verb(
            "stop",
            "stop a container and remove it",
            ("[NAME]",),
            (
                Option(("--all",), "all of ours"),
                Option(("--grace",), "seconds before it is killed (default 5)", "SECONDS", float),
                Option(("--yes",), "however many they are"),
            ),
            live=("container",),
            twin="hub.docker.stop_container(NAME, grace=...)",
        ),
        Verb(
            "stats",
            "what our containers use",
            twin="hub.docker.usage(), or .stats(NAME)",
        ),
        Verb(
            "prune",
            "remove our containers that have ended",
            (),
            (
                Option(("--images",), "and our images that nothing uses"),
                Option(("--yes",), "do it; without, it says what would go"),
            ),
            twin="hub.docker.prune(images=...)",
        ),
        Verb(
            "panel",
            "containers, their logs and numbers, and images",
            twin='hub.panel("docker")',
        ),
    ),
    elsewhere={
        "list": "ps",
        "ls": "ps",
        "rm": "stop",
        "kill": "stop",
        "rmi": "prune",
        "networks": "network",
    },
    examples=(
        "%docker run app:latest --memory 256m -- pytest -q",
        "%%docker build -t app:latest     (the Dockerfile in the cell)",
        "%%docker run app:latest          (a script in the cell: sh, or what #! names)",
        "%docker logs app-3f2a --grep error",
        "redis = %docker service redis:7 --port 6379     (redis.url; redis.stop())",
    ),
    foreign={
        "--rm": "leave it away: a container that has run is removed, one of -d with %docker stop",
        **dict.fromkeys(("-i", "--interactive"), "the input is the cell below %%docker exec"),
        **dict.fromkeys(
            ("-t", "-it", "-ti", "--tty"),
            "leave it away: there is no terminal; %%docker run IMAGE runs the script in the cell",
        ),
        **dict.fromkeys(
            ("-v", "--volume", "--mount", "--tmpfs"),
            "nothing of the host is mounted: --files PATHS copies files to /mnt/work",
        ),
        **dict.fromkeys(
            ("--privileged", "--cap-add", "--device", "--security-opt", "--pid", "--ipc"),
            "the policy decides: %docker shows which are allowed",
        ),
        **dict.fromkeys(("--net", "--network-alias"), "--network NAME, --alias NAME"),
        **dict.fromkeys(("-u", "--username"), "--user UID[:GID]"),
        **dict.fromkeys(("-w", "--working-dir"), "--workdir PATH"),
        **dict.fromkeys(("-m", "--mem"), "--memory BYTES"),
        **dict.fromkeys(("-P", "--publish-all"), "-p PORT publishes one on a free port"),
        "--publish": "-p [HERE:]THERE",
        "--restart": "a container that is gone with its owner must not come back",
        "--build-arg": "--arg NAME=VALUE",
        "--no-cache": "--fresh",
        **dict.fromkeys(
            ("ps -a", "ps --all"), "leave it away: those that have ended are listed as well"
        ),
        **dict.fromkeys(("ps -q", "images -q"), 'hub.docker.names("container") or ("image")'),
        "images -a": "leave it away: all that were built here are listed",
        "stop -t": "--grace SECONDS",
        "logs -t": "hub.docker.events() has times; a log's line has none",
        "prune -f": "--yes",
        "prune -a": "--images",
    },
)
