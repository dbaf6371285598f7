"""The verbs and options of ``%files``."""

from __future__ import annotations

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import count

__all__ = ["GRAMMAR"]

GRAMMAR = Grammar(
    "files",
    "the workspace: files that agents read and write, and nothing outside of it",
    (
        Verb(
            "ls",
            "list a folder",
            ("[PATH]",),
            live=("path",),
            twin="hub.files.list(PATH)",
        ),
        Verb(
            "cat",
            "show a file: text or a picture",
            ("PATH",),
            (Option(("-n", "--lines"), "lines at most (default 200)", "LINES", count),),
            live=("path",),
            twin="hub.files.read_file(PATH)",
        ),
        Verb(
            "head",
            "show the first lines of a file of any size",
            ("PATH",),
            (Option(("-n", "--lines"), "lines at most (default 10)", "LINES", count),),
            live=("path",),
            twin="hub.files.read_file(PATH, head=...)",
        ),
        Verb(
            "tail",
            "show the last lines of a file of any size",
            ("PATH",),
            (Option(("-n", "--lines"), "lines at most (default 10)", "LINES", count),),
            live=("path",),
            twin="hub.files.read_file(PATH, tail=...)",
        ),
        Verb(
            "edit",
            "replace a text in a file, if it occurs exactly once",
            ("PATH", "[OLD]", "[NEW]"),
            (
                Option(("--count",), "the number of occurrences (default 1)", "N", int),
                Option(("--if-hash",), "only if the file still has this hash", "HASH"),
            ),
            live=("path",),
            cell=True,
            twin="hub.files.edit(PATH, OLD, NEW, count=..., if_hash=...)",
        ),
        Verb(
            "append",
            "append the cell to a file",
            ("PATH",),
            live=("path",),
            cell=True,
            twin="hub.files.append(PATH, TEXT)",
        ),
        Verb(
            "write",
            "write the cell to a file",
            ("PATH",),
            (
                Option(("--new",), "only if the file does not exist"),
                Option(("--if-hash",), "only if the file still has this hash", "HASH"),
            ),
            live=("path",),
            cell=True,
            twin="hub.files.write_file(PATH, TEXT, if_hash=...)",
        ),
        Verb(
            "cp",
            "copy a file or a folder",
            ("SOURCE", "DESTINATION"),
            live=("path", "path"),
            twin="hub.files.copy_file(SOURCE, TARGET), or .copy_directory(SOURCE, TARGET)",
        ),
        Verb(
            "mv",
            "move or rename a file or a folder",
            ("SOURCE", "DESTINATION"),
            (Option(("--overwrite",), "replace an existing file"),),
            live=("path", "path"),
            twin="hub.files.move(SOURCE, DESTINATION, overwrite=...)",
        ),
        Verb(
            "rm",
            "remove a file, or a folder with its contents",
            ("PATH",),
            (Option(("--yes",), "confirm for a folder that is not empty"),),
            live=("path",),
            twin="hub.files.delete(PATH, recursive=...)",
        ),
        Verb(
            "glob",
            "list the paths that match a pattern",
            ("PATTERN",),
            live=("path",),
            twin="hub.files.glob(PATTERN)",
        ),
        Verb(
            "du",
            "show the disk usage of a folder",
            ("[PATH]",),
            live=("path",),
            twin="hub.files.usage(PATH)",
        ),
        Verb(
            "panel",
            "open the panel: a live browser of the workspace",
            ("[PATH]",),
            live=("path",),
            twin='hub.panel("files")',
        ),
    ),
    examples=(
        "%%files write src/main.py     (the cell becomes the file)",
        "%files cat src/main.py",
        "%files tail run.log -n 20",
        "%files edit src/main.py 'debug = True' 'debug = False'",
        "%%files edit src/main.py     (the cell: <<<<<<<, old lines, =======, new lines, >>>>>>>)",
        "%files cp src backup/src",
        "%files glob **/*.{py,md}",
        "%files rm backup --yes",
    ),
)
