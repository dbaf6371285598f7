"""Test files are compiled once, by all processes of ``pytest -n 6`` together.

pytest rewrites the asserts of a file where there is no compiled one yet, which takes 15 s of
processor time for all files. In a fresh checkout each process did all of it. Here each does its
share first, and finds the others' when it imports them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from _pytest.assertion import rewrite

ROOT = Path(__file__).parent


def compile_share(config, root=ROOT):
    """Compile the share of this process, in whose environment nothing may be said against it."""
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    number = int(config.workerinput["workerid"].removeprefix("gw"))
    files = sorted(root.rglob("test_*.py"), key=lambda file: (-file.stat().st_size, file))
    for file in files[number :: config.workerinput["workercount"]]:
        compile_file(file, config)


def compile_file(file, config):
    """Compile a file as pytest does, if that has not been done."""
    folder = rewrite.get_cache_dir(file)
    compiled = folder / f"{file.stem}{rewrite.PYC_TAIL}"
    if rewrite._read_pyc(file, compiled) is None and rewrite.try_makedirs(folder):
        state = config.stash[rewrite.assertstate_key]
        source, code = rewrite._rewrite_test(file, config)
        rewrite._write_pyc(state, code, source, compiled)
