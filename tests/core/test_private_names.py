"""Private names of other packages that are used here are there, and no others are used.

A release that renames one of them fails here, and not at a user's first query. Each package has
an upper bound in pyproject.toml, so that such a release is not installed unseen.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import importlib
import inspect
import re
import socket
import sys
import threading
import tomllib
from concurrent.futures import Future
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

import agentnb

SOURCE = Path(agentnb.__file__).parent
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
SHOWN = {"_asdict", "_fields", "_replace"}  # of named tuples, which are documented
SHOWN |= {"_getframe", "_current_frames", "_exit"}  # of sys and os, likewise
SHOWN |= {"_missing_"}  # of enumerations, likewise


class Private(NamedTuple):
    """A private name, whose it is, the folder of agentnb that uses it, and the reason."""

    package: str
    owner: object
    name: str
    used_in: str
    reason: str


def of_redis():
    from redis.connection import Connection, ConnectionPool
    from redis.retry import Retry

    link, retry = Connection(socket_connect_timeout=2), Retry(None, 1)
    of_link = partial(Private, "redis", link, used_in="core/redis")
    return [
        of_link("_sock", reason="each step on the socket is given what is left of the call"),
        of_link("_parser", reason="each read is given what is left of the call"),
        of_link("_connect", reason="connecting is given what is left of the call"),
        of_link("_socket_connect_timeout", reason="connecting is given what is left of the call"),
        of_link("_send_ping", reason="a connection that was idle is tried before it is used"),
        of_link("_sock", used_in="core/cache", reason="what is pushed is read without a thread"),
        of_link("_sock", used_in="core/events", reason="what is pushed is read by one thread"),
        Private("redis", ConnectionPool, "_checkpid", "core/redis", "a pool in a forked child"),
        Private("redis", ConnectionPool(), "_fork_lock", "core/redis", "free in a forked child"),
        Private("redis", ConnectionPool(), "_lock", "core/redis", "free in a forked child"),
        Private("redis", retry, "_backoff", "core/redis", "the pauses end with the call"),
        Private(
            "redis",
            importlib.import_module("redis._parsers.hiredis"),
            "_HiredisParser",
            "core/redis",
            "each read is given what is left of the call",
        ),
    ]


def of_docker():
    from docker import APIClient

    of_client = partial(Private, "docker", APIClient, used_in="core/docker")
    reason = "a request whose answer is read here has the engine's own words as its error"
    return [
        of_client("_raise_for_status", reason=reason),
        of_client("_set_auth_headers", reason="base images that are not public"),
    ]


def of_huey():
    from huey.api import Huey

    return [
        Private("huey", Huey, "_emit", "core/queue", "signals of jobs that the engine runs"),
        Private("huey", Huey, "_run_pre_execute", "core/queue", "hooks before such a job"),
        Private("huey", Huey, "_run_post_execute", "core/queue", "hooks after such a job"),
    ]


def of_jupyter():
    from ipykernel.comm.comm import BaseComm
    from IPython.core.interactiveshell import InteractiveShell

    reason = "an error is shown with its hint and without a traceback"
    return [
        Private("ipython", InteractiveShell, "_showtraceback", "magics", reason),
        Private("ipykernel", BaseComm, "_reply_subshell_for", "panels", "clicks while a cell runs"),
    ]


def of_python():
    lock, condition, flag = threading.RLock(), threading.Condition(), threading.Event()
    loop = asyncio.new_event_loop()
    task = asyncio.Future(loop=loop)
    loop.close()
    parser, future = argparse.ArgumentParser(), Future()
    in_forks = partial(Private, "", used_in="core", reason="a forked child has fresh locks")
    in_waits = partial(Private, "", used_in="core/cache", reason="loads that wait for each other")
    return [
        in_forks(lock, "_is_owned"),
        in_forks(lock, "_at_fork_reinit"),
        in_forks(threading.Lock(), "_at_fork_reinit"),
        in_forks(condition, "_lock"),
        in_forks(condition, "_at_fork_reinit"),
        in_forks(threading.Semaphore(), "_cond"),
        in_forks(flag, "_at_fork_reinit"),
        in_waits(future, "_done_callbacks"),
        in_waits(task, "_callbacks"),
        Private("", Protocol, "_is_protocol", "core/codec", "types that no value has"),
        Private("", parser, "_option_string_actions", "cli", "the options to a misspelt one"),
        Private("", importlib.import_module("_signal"), "signal", "core/redis", "in 1 µs"),
        Private("", importlib.import_module("_thread"), "start_new_thread", "core/redis", "light"),
        Private("", argparse, "_SubParsersAction", "cli", "the type of a parser's commands"),
    ]


def of_opentelemetry():
    from opentelemetry.sdk.trace import TracerProvider

    reason = "a provider has no public way to be handed spans that have ended"
    name = "_active_span_processor"
    return [Private("opentelemetry-sdk", TracerProvider(), name, "core/trace/otel", reason)]


GROUPS = (of_redis, of_docker, of_huey, of_jupyter, of_opentelemetry, of_python)
PRIVATE = [each for group in GROUPS for each in group()]
# Below urllib3, and so no package of the project's own: see the test of its name.
CHAIN = ("_fp", "_sock")
MODULES = {"_signal", "_thread", "_parsers"}


@pytest.mark.parametrize("private", PRIVATE, ids=lambda each: f"{each.used_in}:{each.name}")
def test_a_private_name_that_is_used_is_there(private):
    assert hasattr(private.owner, private.name), private.reason


@pytest.mark.parametrize("package", sorted({each.package for each in PRIVATE} - {""} | {"urllib3"}))
def test_a_package_whose_private_names_are_used_has_an_upper_bound(package):
    extras = PROJECT["project"]["optional-dependencies"].values()
    wanted = [*PROJECT["project"]["dependencies"], *(one for extra in extras for one in extra)]
    lines = [line for line in wanted if re.match(rf"{package}\b(?!-)", line, re.IGNORECASE)]
    assert lines
    assert all(re.search(r"<\d", line) for line in lines), lines


def test_the_socket_below_an_answer_of_http_is_where_it_is_read():
    """`core/docker` reads an answer that upgrades the connection, of which urllib3 shows none."""
    import requests

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x")

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request).start()
        answer = requests.get(f"http://127.0.0.1:{server.server_port}", stream=True, timeout=10)
        with answer:
            buffer = answer.raw._fp.fp
            assert isinstance(buffer.raw._sock, socket.socket)
            assert buffer.read(1) == b"x"


def test_no_other_private_name_of_another_package_is_used():
    known = {each.name for each in PRIVATE} | SHOWN | {*CHAIN} | MODULES
    own, found = set(), set()
    for path in files():
        nodes = [*tree_of(path)]
        own |= {*defined(nodes)}
        found |= {(path.name, name) for name in private_names(nodes)}
    assert {(file, name) for file, name in found if name not in known | own} == set()


def test_no_other_private_name_of_a_class_of_another_package_is_taken_over():
    known = {each.name for each in PRIVATE} | SHOWN
    found = {name for path in files() for name in taken_over(path)}
    assert "_sock" in found
    assert found - known == set()


@pytest.mark.parametrize("private", PRIVATE, ids=lambda each: f"{each.used_in}:{each.name}")
def test_a_private_name_that_is_listed_is_used(private):
    texts = [path.read_text() for path in (SOURCE / private.used_in).rglob("*.py")]
    assert any(re.search(rf"\b{private.name}\b", text) for text in texts)


def files():
    """Return the files of the package, without the tutorials that a wheel brings."""
    return [path for path in sorted(SOURCE.rglob("*.py")) if "tutorials" not in path.parts]


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def tree_of(path):
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def defined(nodes):
    """Yield the private names that a file of the package defines."""
    for node in nodes:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name


def private_names(nodes):
    """Yield the private names that a file asks for, of something that is not itself."""
    for node in nodes:
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name):
                yield from filter(is_private, [name])
            case ast.Call(
                func=ast.Name(id="getattr" | "hasattr" | "setattr"),
                args=[_, ast.Constant(value=str(name)), *_],
            ):
                yield from filter(is_private, [name])
            case ast.Import(names=names):
                yield from filter(is_private, [part for n in names for part in n.name.split(".")])
            case ast.ImportFrom(module=str(module), names=names):
                words = [*module.split("."), *(each.name for each in names)]
                yield from filter(is_private, words)


def taken_over(path):
    """Yield the private names that the classes of a file share with a base of another package."""
    module = ".".join(("agentnb", *path.relative_to(SOURCE).with_suffix("").parts))
    if path.stem == "__main__" or "migrations" in path.parts:
        return
    loaded = importlib.import_module(module.removesuffix(".__init__"))
    for node in tree_of(path):
        kind = getattr(loaded, node.name, None) if isinstance(node, ast.ClassDef) else None
        if isinstance(kind, type) and kind.__module__.startswith("agentnb"):
            names = {name for name in names_within(node) if is_private(name)}
            for base in kind.__mro__:
                if base.__module__.partition(".")[0] not in {*sys.stdlib_module_names, "agentnb"}:
                    yield from (name for name in names if owns(base, name))


def names_within(node):
    for each in ast.walk(node):
        match each:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name


def owns(kind, name):
    """Return whether a class defines a name, or gives it to its objects."""
    if name in vars(kind):
        return True
    # To find a class in its module costs far more than to read the module.
    whole = sys.modules.get(kind.__module__)
    return name in given_to_objects(whole) and name in given_to_objects(kind)


@cache
def given_to_objects(kind):
    try:
        return {*re.findall(r"self\.(\w+)", inspect.getsource(kind))}
    except (OSError, TypeError):  # a class made in C
        return set()
