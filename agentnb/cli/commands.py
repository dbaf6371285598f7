"""The short commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.cli.errors import print_error
from agentnb.core.errors import AgentnbError
from agentnb.core.launch import absolute, python

if TYPE_CHECKING:
    import argparse

    from agentnb.core.settings import Settings
    from agentnb.core.tutorials import Copied

__all__ = ["check", "lab", "status", "tutorials", "version"]


def version(_: argparse.Namespace) -> int:
    """Print the version."""
    import agentnb

    print(f"agentnb {agentnb.__version__}")
    return 0


def tutorials(options: argparse.Namespace) -> int:
    """Copy the tutorials."""
    from agentnb.core.tutorials import copy_tutorials

    _tell(copy_tutorials(options.dir))
    return 0


def _tell(copied: Copied) -> None:
    print(f"{copied.folder}: copied {len(copied.new)}, kept {len(copied.kept)} as they were")


def lab(options: argparse.Namespace) -> int:
    """Copy the tutorials and become JupyterLab."""
    from agentnb.core.extras import LAB, require
    from agentnb.core.tutorials import FIRST, copy_tutorials

    require(LAB, "agentnb lab", service="lab", pip=f"{sys.executable} -m pip")
    copied = copy_tutorials(options.dir)
    _tell(copied)
    command = python("-m", "jupyterlab", f"--ServerApp.root_dir={copied.folder}")
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
    paths = [ours, *absolute("JUPYTER_PATH")]
    search_path = (
        {"PYTHONPATH": os.pathsep.join(found)} if (found := absolute("PYTHONPATH")) else {}
    )
    settings = [str(Path(__file__).with_name("jupyter")), *absolute("JUPYTER_CONFIG_PATH")]
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_PATH": os.pathsep.join(settings),  # a guide opens as a page, not as text
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PATH": os.pathsep.join(paths),
        **search_path,
    }
    sys.stdout.flush()
    # A folder that nobody else writes to: some programs take settings or code from theirs.
    os.chdir("/")
    os.execve(sys.executable, command, environment)  # noqa: S606 - Lab takes this process over


def check(options: argparse.Namespace) -> int:
    """Look for secrets in notebooks; 1 if there are any."""
    from agentnb.core.check import scan_notebook
    from agentnb.core.settings import Settings

    secrets = Settings.load().secrets()
    found, read = 0, 0
    for path in options.notebook:
        try:
            findings = scan_notebook(path, secrets=secrets)
        except AgentnbError as error:
            print_error(error)  # and go on: the next may hold a secret
            continue
        read += 1
        found += len(findings)
        for finding in findings:
            print(f"{path}: {finding}")
    print(f"{found or 'no'} secret{'' if found == 1 else 's'} in {read} of {len(options.notebook)}")
    if read < len(options.notebook):
        return 2
    return 1 if found else 0


def status(_: argparse.Namespace) -> int:
    """Show every setting and its source."""
    import agentnb
    from agentnb.core.settings import Settings

    settings = Settings.load()
    print(f"agentnb {agentnb.__version__}, Python {sys.version.split()[0]}, root {settings.root}")
    for service, target in _targets(settings):
        print(f"{service:<9} {target}")
    print(settings.table())
    return 0


def _targets(settings: Settings) -> list[tuple[str, str]]:
    """Return the database and the server that the settings lead to, without connecting."""
    database, redis = settings.database_url, settings.redis_url
    prefix = f"prefix {settings.key_prefix}" if settings.key_prefix else "no prefix"
    return [
        (
            "database",
            settings.redactor(database) if database else f"SQLite, {settings.home / 'agentnb.db'}",
        ),
        (
            "redis",
            (settings.redactor(redis) if redis else f"the embedded server of {settings.home}")
            + f", {prefix}",
        ),
    ]
