"""The verbs and options of ``%files``."""

from __future__ import annotations

from agentnb.magics.grammar import Grammar, Option, Verb

__all__ = ["GRAMMAR"]

GRAMMAR = Grammar(
    "files",
    "the workspace: files that agents read and write, and nothing outside of it",
    (
        Verb(
            "ls",
            "what is in a folder",
            ("[PATH]",),
            live=("path",),
            twin="hub.files.list(PATH)",
        ),
        Verb(
            "cat",
            "what is in a file: text, or a picture",
            ("PATH",),
            (Option(("-n", "--lines"), "show so many lines (default 200)", "LINES", int),),
            live=("path",),
            twin="hub.files.read_file(PATH)",
        ),
        Verb(
            "head",
            "the first lines of a file, however large it is",
            ("PATH",),
            (Option(("-n", "--lines"), "how many (default 10)", "LINES", int),),
            live=("path",),
            twin="hub.files.read_file(PATH, head=...)",
        ),
        Verb(
            "tail",
            "the last lines of a file, however large it is",
            ("PATH",),
            (Option(("-n", "--lines"), "how many (default 10)", "LINES", int),),
            live=("path",),
            twin="hub.files.read_file(PATH, tail=...)",
        ),
        Verb(
            "edit",
            "replace a piece of a file, if it is there exactly once",
            ("PATH", "[OLD]", "[NEW]"),
            (
                Option(("--count",), "how often it has to be there (default 1)", "N", int),
                Option(("--if-hash",), "only if it is still the one with this hash", "HASH"),
            ),
            live=("path",),
            cell=True,
            twin="hub.files.edit(PATH, OLD, NEW, count=..., if_hash=...)",
        ),
        Verb(
            "append",
            "add the body of the cell to the end of a file",
            ("PATH",),
            live=("path",),
            cell=True,
            twin="hub.files.append(PATH, TEXT)",
        ),
        Verb(
            "write",
            "write a file from the body of the cell",
            ("PATH",),
            (
                Option(("--new",), "only if it is not there yet"),
                Option(("--if-hash",), "only if it is still the one with this hash", "HASH"),
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
            (Option(("--overwrite",), "over a file that is there"),),
            live=("path", "path"),
            twin="hub.files.move(SOURCE, DESTINATION, overwrite=...)",
        ),
        Verb(
            "rm",
            "remove a file, or a folder with all that is in it",
            ("PATH",),
            (Option(("--yes",), "a folder that is not empty too"),),
            live=("path",),
            twin="hub.files.delete(PATH, recursive=...)",
        ),
        Verb(
            "glob",
            "the paths that match a pattern",
            ("PATTERN",),
            live=("path",),
            twin="hub.files.glob(PATTERN)",
        ),
        Verb(
            "du",
            "what takes up the room in a folder",
            ("[PATH]",),
            live=("path",),
            twin="hub.files.usage(PATH)",
        ),
        Verb(
            "panel",
            "a browser of the workspace, live",
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
