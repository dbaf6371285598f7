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


_POLICY = Option(("--policy",), "the policy; %docker lists them", "NAME", live="policy")
_TIMEOUT = Option(("--timeout",), "seconds at most", "SECONDS", float)
_ENV = Option(
    ("-e", "--env"),
    "variables: NAME=VALUE, A=1,B=2, or :name of a dictionary",
    "NAME=VALUE",
    pairs,
    adds=True,
    whole=pair,
)
_PULL = Option(("--pull",), "when the image is pulled: missing, always or never", "WHEN")
_ENV_FILE = Option(
    ("--env-file",),
    "files of variables, one NAME=VALUE a line",
    "PATHS",
    names,
    adds=True,
    whole=alone,
)
_NO_CHECK = Option(("--no-check",), "return the result for any exit code")
_WORKDIR = Option(("--workdir",), "the working directory inside", "PATH")

_OF_A_CONTAINER = (
    Option(("--name",), "the container's name", "NAME"),
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
    Option(("--user",), "the user, in numbers", "UID[:GID]"),
    _WORKDIR,
    Option(
        ("--files",),
        "copy these files to /mnt/work",
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
            "list the home's containers, ended ones included",
            twin="hub.docker.list()",
        ),
        Verb(
            "images",
            "list the images that were built here",
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
                    "arguments of the build, which are no secrets",
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
                Option(("--fresh",), "run every step without the cache"),
                _POLICY,
                _TIMEOUT,
            ),
            cell=True,
            twin="hub.docker.build_image(FOLDER, TAG, text=..., args=...)",
        ),
        Verb(
            "pull",
            "pull an image from its registry",
            ("IMAGE",),
            (
                Option(("--platform",), "such as linux/arm64", "OS/ARCH"),
                _TIMEOUT,
            ),
            twin="hub.docker.pull(IMAGE)",
        ),
        Verb(
            "run",
            "run a command, or the script in the cell, and wait for its end",
            ("IMAGE",),
            (
                Option(("-d", "--detach"), "return while it runs"),
                *_OF_A_CONTAINER,
                Option(("--keep",), "with -d: keep it when this kernel ends"),
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
            "start a service such as a database, and wait until it is ready",
            ("IMAGE",),
            (
                Option(("--port",), "the port inside, published on 127.0.0.1", "PORT", int),
                Option(("--ready",), "ready when a line of its log contains this", "TEXT"),
                Option(("--scheme",), "the scheme of its URL, such as redis", "NAME"),
                *_OF_A_CONTAINER,
                _TIMEOUT,
            ),
            live=("image",),
            rest="[-- COMMAND]",
            twin="hub.docker.service(IMAGE, COMMAND, port=..., ready=...)",
        ),
        Verb(
            "network",
            "list the networks of this home, or create one",
            ("[NAME]",),
            (Option(("--remove",), "remove it"),),
            live=("network",),
            twin="hub.docker.network(NAME), .networks() or .remove_network(NAME)",
        ),
        Verb(
            "logs",
            "show the output of a container",
            ("NAME",),
            (
                Option(("-n", "--tail"), "the last lines, at most this number", "LINES", int),
                Option(("--since",), "only the output of the last seconds", "SECONDS", float),
                Option(("--grep",), "only lines that contain a text", "TEXT"),
                Option(("-f", "--follow"), "follow the output; interrupt the cell to end"),
                _TIMEOUT,
            ),
            live=("container",),
            twin="hub.docker.get_container_logs(NAME, tail=..., follow=...)",
        ),
        Verb(
            "exec",
            "run a command in a container; the cell, if any, is its standard input",
            ("NAME",),
            (
                _ENV,
                _ENV_FILE,
                _WORKDIR,
                Option(("--user",), "the user", "UID[:GID]"),
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
            "show the engine's description of a container",
            ("NAME",),
            live=("container",),
            twin="hub.docker.inspect(NAME)",
        ),
        Verb(
            "stop",
            "stop a container and remove it",
            ("[NAME]",),
            (
                Option(("--all",), "all containers of the home"),
                Option(("--grace",), "seconds before it is killed (default 5)", "SECONDS", float),
                Option(("--yes",), "confirm for several containers"),
            ),
            live=("container",),
            twin="hub.docker.stop_container(NAME, grace=...)",
        ),
        Verb(
            "stats",
            "show the usage of the home's containers",
            twin="hub.docker.usage(), or .stats(NAME)",
        ),
        Verb(
            "prune",
            "remove the home's ended containers",
            (),
            (
                Option(("--images",), "remove the home's unused images too"),
                Option(("--yes",), "do it; without, the objects are listed only"),
            ),
            twin="hub.docker.prune(images=...)",
        ),
        Verb(
            "panel",
            "open the panel: containers, their logs and usage, and images",
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
        "--rm": "leave it out: a container is removed at its end, one of -d by %docker stop",
        **dict.fromkeys(("-i", "--interactive"), "the input is the cell below %%docker exec"),
        **dict.fromkeys(
            ("-t", "-it", "-ti", "--tty"),
            "leave it out: there is no terminal; %%docker run IMAGE runs the script in the cell",
        ),
        **dict.fromkeys(
            ("-v", "--volume", "--mount", "--tmpfs"),
            "no folder of the host is mounted: --files PATHS copies files to /mnt/work",
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
        "--restart": "a container ends with its owner and is not restarted",
        "--build-arg": "--arg NAME=VALUE",
        "--no-cache": "--fresh",
        **dict.fromkeys(("ps -a", "ps --all"), "leave it out: ended containers are listed too"),
        **dict.fromkeys(("ps -q", "images -q"), 'hub.docker.names("container") or ("image")'),
        "images -a": "leave it out: all images that were built here are listed",
        "stop -t": "--grace SECONDS",
        "logs -t": "hub.docker.events() has times; a log's line has none",
        "prune -f": "--yes",
        "prune -a": "--images",
    },
)
