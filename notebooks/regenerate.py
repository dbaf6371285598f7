"""Run every tutorial in a home of its own and save it with its outputs.

    python notebooks/regenerate.py [NOTEBOOK ...]

Without arguments all of them. What is written is what the tests compare with.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
KEPT = {"kernelspec", "language_info"}


def regenerate(path: Path) -> None:
    """Execute one notebook where it lies and save its outputs, nothing else of the run."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}
    ).execute()
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02}"
        cell.metadata.pop("execution", None)
    for name in set(notebook.metadata) - KEPT:
        del notebook.metadata[name]
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)
    print(path.name)


def main(names: list[str]) -> None:
    """Regenerate the named notebooks, or all."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"AGENTNB_HOME": home, "DATABASE_URL": "", "REDIS_URL": ""}
        os.environ["AGENTNB_WORKSPACE"] = f"{home}/workspace"
        for path in [Path(name) for name in names] or sorted(HERE.glob("*.ipynb")):
            regenerate(path)


if __name__ == "__main__":
    main(sys.argv[1:])
