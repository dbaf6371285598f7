"""The command line: ``agentnb lab``, ``tutorials``, ``check``, ``status``.

Exit codes: 0 all is well, 1 `check` found secrets, 2 the call or a setting is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from agentnb.core.errors import AgentnbError, ConfigError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.tutorials import Copied

__all__ = ["main"]

_HIGHEST_PORT = 65535


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        The words after ``agentnb``; default: those of this process.

    Returns
    -------
    int
        The exit code.
    """
    try:
        options = _parse(sys.argv[1:] if arguments is None else list(arguments))
        run: Callable[[argparse.Namespace], int] = options.run
        code = run(options)
        sys.stdout.flush()
    except AgentnbError as error:
        _complain(error)
        return 2
    except BrokenPipeError:
        # The reader of a pipe has gone: there is nobody to tell, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _complain(error: AgentnbError) -> None:
    print(f"agentnb: {error}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """A parser that raises this project's errors rather than printing argparse's."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, service="cli", hint=f"{self.prog} --help")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="agentnb",
        description="Every backing service of an agent system at the prompt of a notebook.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    # Asked for after the parsing, so that a misspelt command is named before its options are.
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)
    _add_commands(commands)
    word = next((word for word in arguments if not word.startswith("-")), None)
    if word is not None and word not in commands.choices:
        raise UsageError(
            f"no such command: {word}",
            service="cli",
            hint=did_you_mean(word, commands.choices) or f"commands: {', '.join(commands.choices)}",
        )
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        chosen = commands.choices[word] if word else parser
        known = [name for name in chosen._option_string_actions if name.startswith("--")]  # noqa: SLF001 - argparse has no other list of a parser's options
        hint = did_you_mean(unknown[0].split("=")[0], known) or f"{chosen.prog} --help"
        what = "no such option" if unknown[0].startswith("-") else "not expected"
        raise UsageError(f"{what}: {unknown[0]}", service="cli", hint=hint)
    if options.version:
        options.run = _version
    elif word is None:
        parser.error("a command is needed: " + ", ".join(commands.choices))
    return options


def _add_commands(commands: argparse._SubParsersAction[_Parser]) -> None:
    def add(name: str, run: Callable[[argparse.Namespace], int], about: str) -> _Parser:
        parser = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        parser.set_defaults(run=run)
        return parser

    lab = add("lab", _lab, "Copy the tutorials, overwriting nothing, and open JupyterLab on them.")
    lab.add_argument("dir", nargs="?", default="tutorials", help="folder (default: ./tutorials)")
    lab.add_argument("--port", type=_port, help="port (default: 8888, or the next that is free)")
    lab.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    tutorials = add("tutorials", _tutorials, "Copy the tutorials to a folder, overwriting nothing.")
    tutorials.add_argument("dir", help="the folder")
    check = add("check", _check, "Look for secrets in saved notebooks, their outputs included.")
    check.add_argument("notebook", nargs="+", help="the notebooks' files")
    add("status", _status, "Show every setting and where it came from; secrets are masked.")


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else 0
    if not 0 < port <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 1 to {_HIGHEST_PORT}")
    return port


def _version(_: argparse.Namespace) -> int:
    import agentnb

    print(f"agentnb {agentnb.__version__}")
    return 0


def _tutorials(options: argparse.Namespace) -> int:
    from agentnb.core.tutorials import copy_tutorials

    _tell(copy_tutorials(options.dir))
    return 0


def _tell(copied: Copied) -> None:
    print(f"{copied.folder}: copied {len(copied.new)}, kept {len(copied.kept)} as they were")


def _lab(options: argparse.Namespace) -> int:
    from importlib.util import find_spec

    from agentnb.core.tutorials import FIRST, copy_tutorials

    if find_spec("jupyterlab") is None:
        raise ConfigError(
            "JupyterLab is not installed in this environment",
            service="lab",
            hint=f"{sys.executable} -m pip install jupyterlab",
        )
    copied = copy_tutorials(options.dir)
    _tell(copied)
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={copied.folder}"]
    if FIRST in {*copied.new, *copied.kept}:
        command.append(f"--LabApp.default_url=/lab/tree/{FIRST}")
    if options.port:
        command.append(f"--port={options.port}")
    if options.no_browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # Lab refuses root, and in a container one is root
    # The kernel of this environment comes before others of the same name, a user's own included.
    ours = str(Path(sys.prefix, "share", "jupyter"))
    paths = [ours, *filter(None, os.environ.get("JUPYTER_PATH", "").split(os.pathsep))]
    environment = {
        **os.environ,
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PATH": os.pathsep.join(paths),
    }
    sys.stdout.flush()
    os.chdir(copied.folder)
    os.execve(sys.executable, command, environment)  # noqa: S606 - Lab takes this process over


def _check(options: argparse.Namespace) -> int:
    from agentnb.core.check import scan_notebook
    from agentnb.core.settings import Settings

    secrets = Settings.load().secrets()
    found, read = 0, 0
    for path in options.notebook:
        try:
            findings = scan_notebook(path, secrets=secrets)
        except AgentnbError as error:
            _complain(error)  # and go on: the next may hold a secret
            continue
        read += 1
        found += len(findings)
        for finding in findings:
            print(f"{path}: {finding}")
    print(f"{found or 'no'} secret{'' if found == 1 else 's'} in {read} of {len(options.notebook)}")
    if read < len(options.notebook):
        return 2
    return 1 if found else 0


def _status(_: argparse.Namespace) -> int:
    import agentnb
    from agentnb.core.settings import Settings

    settings = Settings.load()
    print(f"agentnb {agentnb.__version__}, Python {sys.version.split()[0]}, root {settings.root}")
    print(settings.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
