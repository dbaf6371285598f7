"""The commands and options of the command line, and the errors of misspelt ones."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from agentnb.cli import commands, doctor, health, mcp, migrate, project, serve, trace, worker
from agentnb.core.errors import UsageError, did_you_mean
from agentnb.core.ranges import OutsideError, read_seconds, read_whole
from agentnb.core.tools.policy import GROUPS, WRITE
from agentnb.core.work.executors.choose import WORDS, read_executor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Parser", "parse"]

T = TypeVar("T")

_EXAMPLES = {
    "lab": "agentnb lab tutorials --port 8890",
    "tutorials": "agentnb tutorials ~/agentnb-tutorials",
    "init": "agentnb init my_shop",
    "worker": "agentnb worker --app shop.jobs --app shop.agents --agents --log json",
    "serve": "AGENTNB_SERVE_TOKEN=... agentnb serve --host 0.0.0.0 --port 3000",
    "mcp": "agentnb mcp --root . --config claude",
    "migrate": "DATABASE_URL=postgresql://... agentnb migrate",
    "check": "agentnb check notebooks/*.ipynb",
    "health": "agentnb health --timeout 1, or of a worker: agentnb health --worker mail",
    "doctor": "agentnb doctor --json",
    "trace": "agentnb trace export 1b77e0 --otlp http://localhost:4318",
    "status": "agentnb status",
}
_HIGHEST_PORT = 65535
_MOST_AT_ONCE = 1000


class Parser(argparse.ArgumentParser):
    """A parser that raises an `AgentnbError` in place of exiting."""

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError` with the message of argparse."""
        raise UsageError(message, service="cli", hint=f"{self.prog} --help")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options of a command, with the function that runs it as ``run``.

    ``foreign`` tells whether it runs code of the user's.

    Raises
    ------
    UsageError
        A command or an option is unknown, or a value is out of its range.
    """
    parser = Parser(
        prog="agentnb",
        description="Every backing service of an agent system at the prompt of a notebook.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    # Asked for after the parsing, so that a misspelt command is named before its options are.
    known = parser.add_subparsers(metavar="COMMAND", parser_class=Parser)
    _add_commands(known)
    word = next((word for word in arguments if not word.startswith("-")), None)
    if word is not None and word not in known.choices:
        raise UsageError(
            f"no such command: {word}",
            service="cli",
            hint=did_you_mean(word, known.choices) or f"commands: {', '.join(known.choices)}",
        )
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        chosen = known.choices[word] if word else parser
        names = [name for name in chosen._option_string_actions if name.startswith("--")]  # noqa: SLF001 - argparse has no other list of a parser's options
        hint = did_you_mean(unknown[0].split("=")[0], names) or f"{chosen.prog} --help"
        what = "no such option" if unknown[0].startswith("-") else "not expected"
        raise UsageError(f"{what}: {unknown[0]}", service="cli", hint=hint)
    if options.version:
        options.run, options.foreign = commands.version, False
    elif word is None:
        parser.error("a command is needed: " + ", ".join(known.choices))
    return options


def _add_commands(known: argparse._SubParsersAction[Parser]) -> None:
    def add(
        name: str, run: Callable[[argparse.Namespace], int], about: str, *, foreign: bool = False
    ) -> Parser:
        parser = known.add_parser(
            name,
            help=about,
            description=about,
            epilog=f"example: {_EXAMPLES[name]}",
            allow_abbrev=False,
        )
        parser.set_defaults(run=run, foreign=foreign)
        return parser

    about = "Copy the tutorials, overwriting nothing, and open JupyterLab on them."
    lab = add("lab", commands.lab, about)
    lab.add_argument("dir", nargs="?", default="tutorials", help="folder (default: ./tutorials)")
    lab.add_argument("--port", type=_port, help="port (default: 8888, or the next that is free)")
    lab.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    about = "Copy the tutorials to a folder, overwriting nothing."
    tutorials = add("tutorials", commands.tutorials, about)
    tutorials.add_argument("dir", help="the folder")
    about = "Make a project: settings, agents, a notebook, a test and the image of a worker."
    init = add("init", project.run, about)
    init.add_argument("dir", help="the folder, new or empty; its name is that of the package")
    init.add_argument(
        "--force", action="store_true", help="make what is missing among files; overwrite nothing"
    )
    about = "Process jobs of queues and tasks of agents until stopped."
    _add_worker(add("worker", worker.run, about, foreign=True))
    _add_serve(add("serve", serve.run, "Offer the workspace's events over a WebSocket."))
    about = "Offer tools over the services to programs that speak the Model Context Protocol."
    _add_mcp(add("mcp", mcp.run, about, foreign=True))
    about = "Make the tables of workflows in the database, or bring them up to date."
    add("migrate", migrate.run, about)
    about = "Look for secrets in saved notebooks, their outputs included."
    check = add("check", commands.check, about)
    check.add_argument("notebook", nargs="+", help="the notebooks' files")
    about = "Check that the configured services answer, or that a worker of this host is alive."
    _add_health(add("health", health.run, about))
    about = "Examine what works here and what is missing, with the line that mends it."
    _add_doctor(add("doctor", doctor.run, about))
    about = "List traces of this home, show one, or send one to a receiver of OpenTelemetry."
    _add_trace(add("trace", trace.run, about))
    add("status", commands.status, "Show every setting and its source; secrets are masked.")


def _add_health(parser: Parser) -> None:
    parser.add_argument(
        "queue",
        nargs="*",
        help="with --worker: queues that it must work on (default: agents, or a queue that has had "
        "a job)",
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds,
        default=1.0,
        help="seconds for all services together (default: 1)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--worker",
        action="store_true",
        help="look for the heartbeat of a worker of this host in place of the services",
    )


def _add_doctor(parser: Parser) -> None:
    parser.add_argument(
        "--start",
        action="store_true",
        help="open the database and Redis first, as their first use does (default: start nothing)",
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds,
        default=3.0,
        help="seconds for all checks together (default: 3)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_trace(parser: Parser) -> None:
    parser.add_argument("verb", choices=("list", "show", "export"), help="what to do")
    parser.add_argument(
        "id",
        nargs="?",
        help="for show and export: the first six or more digits, job:ID, workflow:NAME or event:ID "
        "(default: the last trace)",
    )
    parser.add_argument("--failed", action="store_true", help="list: those with a failure only")
    parser.add_argument(
        "-n", type=_count, metavar="N", help="list: how many at most, newest first (default: 20)"
    )
    parser.add_argument(
        "--plain", action="store_true", help="show: without times and ids, the same in every run"
    )
    parser.add_argument(
        "--otlp",
        metavar="URL",
        help="export: the receiver, for OTLP over HTTP (default: OTEL_EXPORTER_OTLP_ENDPOINT, or "
        "http://localhost:4318; needs the extra otel)",
    )


def _add_mcp(parser: Parser) -> None:
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="the folder of the tools for files and git, from which the project's settings are "
        "looked for upwards (default: the workspace)",
    )
    parser.add_argument(
        "--tools",
        metavar="GROUP,...",
        help=f"groups of tools that read: {', '.join(GROUPS)} (default: all)",
    )
    parser.add_argument(
        "--write",
        metavar="TOOL,...",
        default="",
        help="tools that change something, once a person has approved the call: "
        f"{', '.join(WRITE)} (default: none)",
    )
    parser.add_argument(
        "--http",
        action="store_true",
        help="serve over HTTP on 127.0.0.1, with a token (default: over the standard streams)",
    )
    parser.add_argument(
        "--port",
        type=_port_or_any,
        default=8765,
        help="port of --http (default: 8765; 0: one that is free)",
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds,
        default=20.0,
        help="seconds that a call may take (default: 20)",
    )
    parser.add_argument(
        "--config",
        choices=mcp.HOSTS,
        help="print the configuration for Claude Code, VS Code or Cursor, and serve nothing",
    )


def _add_serve(parser: Parser) -> None:
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"
    )
    parser.add_argument(
        "--port", type=_port_or_any, default=3000, help="port (default: 3000; 0: one that is free)"
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="file with the token of the clients, - for the standard input (default: "
        "AGENTNB_SERVE_TOKEN, or one kept in the home)",
    )
    parser.add_argument("--token", help=argparse.SUPPRESS)  # refused, with the remedy
    parser.add_argument(
        "--no-token", action="store_true", help="require no token; on loopback only"
    )
    parser.add_argument(
        "--origin",
        action="append",
        default=[],
        help="origin of pages that may connect, such as https://app.example.com; "
        "may be given again",
    )


def _add_worker(parser: Parser) -> None:
    parser.add_argument(
        "queue",
        nargs="*",
        help="queues (default: all that --app registers, unless agents are named)",
    )
    parser.add_argument(
        "--processor",
        metavar="MODULE:FUNCTION",
        help="the function that is given each job (default: the one that a notebook keeps)",
    )
    parser.add_argument(
        "--app",
        metavar="MODULE",
        action="append",
        default=[],
        help="a module whose functions are marked with @processor(QUEUE) or, for --agents, with "
        "@agent(NAME); may be given again",
    )
    parser.add_argument(
        "--agents",
        metavar="NAME",
        nargs="*",
        help="run the tasks of these agents, or of all that --app and notebooks define",
    )
    parser.add_argument(
        "--concurrency",
        metavar="N",
        type=_at_once,
        default=5,
        help="jobs of each queue, or tasks, that run at once (default: 5)",
    )
    parser.add_argument(
        "--executor",
        metavar="WHERE",
        type=_executor,
        help="where jobs and tasks run: threads, processes, dask://HOST:PORT, tls://HOST:PORT or "
        "pkg.module:factory; processes are killed at a time-out (default: AGENTNB_EXECUTOR, else "
        "threads)",
    )
    parser.add_argument("--processes", action="store_true", help="the same as --executor processes")
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=_seconds,
        help="seconds for an attempt that has no time-out of its own (default: no limit)",
    )
    parser.add_argument(
        "--grace",
        metavar="S",
        type=_seconds,
        default=30.0,
        help="seconds for running jobs to end on stop, before their release (default: 30)",
    )
    parser.add_argument(
        "--drain",
        action="store_true",
        help="stop when no job or task is waiting, active or delayed",
    )
    parser.add_argument("--quiet", action="store_true", help="print no line for each job")
    parser.add_argument(
        "--log",
        choices=("text", "json"),
        help="print lines with date, zone and level, or JSON (default: with the time of day)",
    )
    parser.add_argument(
        "--wait",
        metavar="S",
        type=_seconds,
        default=0.0,
        help="seconds to wait at the start for an unavailable server (default: 3, then an error)",
    )
    parser.add_argument(
        "--record",
        choices=("failed", "all", "off"),
        help="keep the calls of each attempt that fails, or of all, for a replay in a test "
        "(default: AGENTNB_RECORD, or off)",
    )
    parser.add_argument(
        "--metrics",
        metavar="ADDRESS",
        type=_address,
        help="offer /metrics, /healthz and /readyz there, such as 127.0.0.1:9464; a port alone is "
        "one of 127.0.0.1 (default: AGENTNB_METRICS, or nowhere; needs the extra metrics)",
    )


def _executor(text: str) -> str:
    """Return the text of an executor, or raise what argparse shows with the option's name."""
    try:
        return read_executor(text)
    except ValueError as error:
        near = did_you_mean(text, WORDS)
        hint = f"; {near}" if near else ""
        raise argparse.ArgumentTypeError(f"must be {error}, got {text!r}{hint}") from error


def _port(text: str) -> int:
    return _read(read_whole, text, most=_HIGHEST_PORT)


def _port_or_any(text: str) -> int:
    return _read(read_whole, text, least=0, most=_HIGHEST_PORT)


def _count(text: str) -> int:
    return _read(read_whole, text)


def _at_once(text: str) -> int:
    return _read(read_whole, text, most=_MOST_AT_ONCE)


def _address(text: str) -> str:
    from agentnb.core.metrics.address import read_address

    return str(_read(read_address, text))


def _seconds(text: str) -> float:
    return _read(read_seconds, text)


def _read(read: Callable[..., T], text: str, **limits: Any) -> T:
    """Return what a text stands for, or raise what argparse shows with the option's name."""
    try:
        return read(text, **limits)
    except OutsideError as error:
        raise argparse.ArgumentTypeError(f"must be {error}, got {text!r}") from error
