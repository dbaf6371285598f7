"""Run the tests that failed once more, each alone, as ``regrtest --rerun`` of CPython does.

``rerun.py PYTEST LOG PASSED`` follows a failed run of PYTEST in this folder; LOG has its output.
The names of the tests that pass now are added to the file PASSED. The exit code is 0 if all of them
pass. It is 1 if one fails again, if more than five failed, or if the run itself was broken.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

LIMIT = 5
FAILED = Path(".pytest_cache/v/cache/lastfailed")
SUMMARY = re.compile(r"(=+ )?(.*, )?\d+ (failed|errors?)\b.* in [\d.]+s( \([\d:]+\))?( =+)?")


def failed_tests(lines: list[str], failed: list[str]) -> list[str]:
    """Return the names to run; none if the run was broken, such as by a file without tests.

    A cell of a notebook needs those before it, so that the notebook runs whole.
    """
    if not lines or not SUMMARY.fullmatch(lines[-1]) or any("::" not in name for name in failed):
        return []
    names = [re.sub(r"^([^:]*\.ipynb)::.*", r"\1", name, flags=re.DOTALL) for name in failed]
    return sorted(set(names))  # processes report in any order


def passes_alone(pytest: str, name: str) -> bool:
    """Run one test in a process of its own, and return whether it passes."""
    print(f"\nagain, alone: {name}", flush=True)
    command = [pytest, "-q", "-p", "no:cacheprovider", name]
    return subprocess.run(command, check=False).returncode == 0


def main(pytest: str, log: str, passed: str) -> int:
    """Run what failed, and return the exit code."""
    lines = Path(log).read_text(errors="replace").splitlines()
    names = failed_tests(lines, [*json.loads(FAILED.read_text())] if FAILED.exists() else [])
    if not 1 <= len(names) <= LIMIT:
        print(f"nothing is run again: {len(names)} tests can be, and 1 to {LIMIT} are")
        return 1
    again = [name for name in names if passes_alone(pytest, name)]
    if again:
        with Path(passed).open("a") as file:
            file.writelines(f"passed only when run again, alone: {name}\n" for name in again)
    return int(again != names)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
