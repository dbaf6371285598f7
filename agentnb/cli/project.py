"""``agentnb init``: makes a new project."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Make the files of a project, print their names and the next steps."""
    from agentnb.core.project import init_project

    made = init_project(options.dir, force=options.force)
    for name in made.new:
        print(f"made  {made.folder / name}")
    for name in made.kept:
        print(f"kept  {made.folder / name}, as it was")
    tests = "python -m pytest" if find_spec("pytest") else "pip install pytest && python -m pytest"
    print(f"next: cd {shlex.quote(str(made.folder))} && agentnb doctor && {tests}")
    return 0
