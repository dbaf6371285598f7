"""``%files``: the workspace at the prompt."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_cell_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import AgentnbError, NotFoundError, UsageError
from agentnb.magics.base import Magic, Message
from agentnb.magics.files.grammar import GRAMMAR
from agentnb.magics.grammar import is_word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.files import Copied, FileSystemManager
    from agentnb.core.table import Table
    from agentnb.magics.grammar import Call

__all__ = ["FilesMagic"]

_OFFERED = 200
_LINES = 10
# IPython takes three of the last mark for a prompt of Python's, and strips them.
_BLOCK = re.compile(
    r"\s*^<{7}(?: [^\n]*)?\n(?P<old>(?:(?!={7}$)[^\n]*\n)*)={7}\n"
    r"(?P<new>(?:(?!<{7}(?: |$))[^\n]*\n)*)>{4,7}(?: [^\n]*)?\s*",
    re.MULTILINE,
)


@magics_class
class FilesMagic(Magic):
    """The magic ``%files`` and ``%%files``."""

    grammar = GRAMMAR

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def files(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Files of the workspace; `%%files write PATH` makes one. `%files help` tells the rest."""
        __tracebackhide__ = True
        if cell is not None:
            _check_cell(line)
        return self.call(line, cell, local_ns)

    def reset(self) -> None:
        """There is no state of its own to go back from."""

    @property
    def _files(self) -> FileSystemManager:
        return self.hub.files

    def status(self, call: Call) -> Table:  # noqa: ARG002 - verbs share a signature
        """Return where the workspace is, how much there is in it, and how much there may be."""
        from agentnb.core.table import Column, Table

        files = self._files
        total = files.usage().total
        root = self.hub.settings.root
        inside = files.root.is_relative_to(root)
        shown = files.root.relative_to(root) if inside else f"…/{files.root.name}"
        row = (str(shown), total.files, total.folders, total.size, files.quota or "no limit")
        columns = (
            "workspace",
            Column("files", "count"),
            Column("folders", "count"),
            Column("size", "size"),
            Column("quota", "size"),
        )
        return Table(columns, [row])

    def live(self, kind: str, start: str = "") -> Iterable[str]:
        """Return the paths that begin so, for Tab; a folder's with a slash behind."""
        if kind != "path":
            return ()
        folder, slash, _ = start.rpartition("/")
        try:
            listed = self._files.list(folder or ".")
        except AgentnbError:
            return ()  # nobody is helped by an error while typing
        paths = [
            f"{folder}{slash}{row.name}{'/' if row.kind == 'folder' else ''}" for row in listed
        ]
        return [path for path in paths if path.startswith(start) and is_word(path)][:_OFFERED]

    def do_ls(self, call: Call) -> Table:
        """Return the contents of a folder."""
        from agentnb.magics.files.render import listed

        return listed(self._files.list(_path(call, 0, ".")))

    def do_cat(self, call: Call) -> Any:
        """Return the content of a file."""
        from agentnb.magics.files.render import picture, text

        path = _path(call, 0)
        found = picture(self._files, path)
        if found is not None:
            return found
        return text(self._files.read_file(path), call.options.get("lines"))

    def do_head(self, call: Call) -> Any:
        """Return the first lines of a file."""
        from agentnb.magics.files.render import text

        count = call.options.get("lines", _LINES)
        return text(self._files.read_file(_path(call, 0), head=count), count)

    def do_tail(self, call: Call) -> Any:
        """Return the last lines of a file."""
        from agentnb.magics.files.render import text

        count = call.options.get("lines", _LINES)
        return text(self._files.read_file(_path(call, 0), tail=count), count)

    def do_edit(self, call: Call) -> Any:
        """Replace a piece of a file."""
        from agentnb.magics.files.render import text

        path = _path(call, 0)
        old, new = _pieces(call)
        if call.body is not None and self._ends_with(path, old.removesuffix("\n")):
            old, new = old.removesuffix("\n"), new.removesuffix("\n")
        options = {
            name: call.options[name] for name in ("count", "if_hash") if name in call.options
        }
        return text(self._files.edit(path, old, new, **options).diff, None)

    def _ends_with(self, path: str, text: str) -> bool:
        """Return whether these are the last lines of a file whose last line has no end."""
        last = self._files.read_file(path, tail=text.count("\n") + 1)
        return last.replace("\r\n", "\n") == text

    def do_append(self, call: Call) -> str:
        """Add the body of the cell to the end of a file."""
        from agentnb.core.format import size

        path, body = _path(call, 0), _body(call)
        self._files.append(path, body)
        lines = len(body.splitlines())
        length = size(len(body.encode()))
        return Message(f"{path}: {lines:,} more {'line' if lines == 1 else 'lines'}, {length}")

    def do_write(self, call: Call) -> str:
        """Write a file from the body of the cell."""
        from agentnb.core.format import size

        path, body = _path(call, 0), _body(call)
        if "new" in call.options and "if_hash" in call.options:
            raise UsageError(
                "--new and --if-hash exclude each other",
                service="files",
                hint="--new writes a new file only, --if-hash HASH an unchanged one only",
            )
        if_hash = "" if "new" in call.options else call.options.get("if_hash")
        self._files.write_file(path, body, if_hash=if_hash)
        lines = len(body.splitlines())
        length = size(len(body.encode()))
        return Message(f"{path}: {lines:,} {'line' if lines == 1 else 'lines'}, {length}")

    def do_cp(self, call: Call) -> str:
        """Copy a file or a folder."""
        from agentnb.core.format import size
        from agentnb.magics.progress import Progress

        source, target = _path(call, 0), _path(call, 1)
        files = self._files
        is_folder = _is_folder(files, source)
        target = self._into(source, target)
        with Progress(f"copying {source}", size) as progress:
            copy = files.copy_directory if is_folder else files.copy_file
            return _summary(source, target, copy(source, target, on_progress=progress))

    def do_mv(self, call: Call) -> str:
        """Move or rename a file or a folder."""
        source, target = _path(call, 0), _path(call, 1)
        target = self._into(source, target)
        self._files.move(source, target, overwrite="overwrite" in call.options)
        return Message(f"{source} is now {target}")

    def _into(self, source: str, target: str) -> str:
        """Return the path under which something comes into a folder that is there."""
        if target.endswith("/") or _is_folder(self._files, target):
            return f"{target.rstrip('/')}/{source.rstrip('/').rpartition('/')[2]}"
        return target

    def do_rm(self, call: Call) -> str:
        """Remove a file, or a folder with all that is in it."""
        path = _path(call, 0)
        try:
            count = self._files.delete(path, recursive="yes" in call.options)
        except UsageError as error:
            if "yes" in call.options or "not empty" not in error.message:
                raise
            inside = self._files.usage(path).total
            files = f"{inside.files:,} {'file' if inside.files == 1 else 'files'}"
            raise UsageError(
                f"{path} is a folder with {files} in it; nothing was removed",
                service="files",
                hint=f"%files rm {path} --yes",
            ) from error
        return Message(f"{path}: removed" + (f" with {count - 1:,} in it" if count > 1 else ""))

    def do_glob(self, call: Call) -> Table:
        """Return the paths that match a pattern."""
        from agentnb.core.table import Table

        pattern = _path(call, 0)
        paths = [(path,) for path in self._files.glob(pattern)]
        hint = "" if "**" in pattern else f"; **/{pattern} looks in every folder"
        return Table(("path",), paths, empty=f"nothing matches {pattern}{hint}")

    def do_du(self, call: Call) -> Any:
        """Return the disk usage of a folder."""
        from agentnb.magics.files.render import measured

        return measured(self._files.usage(_path(call, 0, ".")))

    def do_panel(self, call: Call) -> Any:
        """Open the panel."""
        return self.hub.panel("files", path=_path(call, 0, "."))


def _check_cell(line: str) -> None:
    """Refuse a body whose verb was forgotten, as it is not with ``%%writefile PATH``."""
    first = (line.split() or ["PATH"])[0]
    if first == "PATH" or "." in first or "/" in first:
        raise UsageError(
            "%%files takes the verb write before the path",
            service="files",
            hint=f"%%files write {first}",
        )


def _body(call: Call) -> str:
    """Return the body of the cell."""
    if call.body is None:
        raise UsageError(
            f"{call.verb} takes the body of a cell",
            service="files",
            hint=f"in a cell of its own: %%files {call.verb} {_path(call, 0)}",
        )
    return call.body


def _pieces(call: Call) -> tuple[str, str]:
    """Return the old and the new text of an edit, from the line or from the cell."""
    path = _path(call, 0)
    if call.body is None:
        if len(call.arguments) != 3:  # noqa: PLR2004 - the path and two texts
            raise UsageError(
                "edit takes the text that is there and the text in its place",
                service="files",
                hint=f"%files edit {path} 'old' 'new', or a cell: %%files edit {path}",
            )
        return _path(call, 1), _path(call, 2)
    found = _BLOCK.fullmatch(call.body)
    if found is None or len(call.arguments) > 1:
        raise UsageError(
            "the cell is not one piece and what takes its place",
            service="files",
            hint="<<<<<<<, the lines that are there, =======, the lines in their place, >>>>>>>; "
            "each mark in a line of its own",
        )
    return found["old"], found["new"]


def _path(call: Call, at: int, default: str = "") -> str:
    """Return an argument that is a path."""
    if at >= len(call.arguments):
        return default
    word, value = call.words[at], call.arguments[at]
    if word.kind == "json":
        return word.text  # `[ab]*` is a pattern, and `{a}` a name like any other
    if not isinstance(value, (str, os.PathLike)):
        raise UsageError(
            f"{word.text} must be a path, got {type(value).__name__}",
            service="files",
            hint="write the path itself, or the name of a variable that holds one",
        )
    return os.fspath(value)


def _is_folder(files: FileSystemManager, path: str) -> bool:
    try:
        files.list(path)
    except (UsageError, NotFoundError):
        return False
    return True


def _summary(source: str, target: str, copied: Copied) -> Message:
    from agentnb.core.format import size

    count = copied.files
    message = f"{source} → {target}: {count:,} {'file' if count == 1 else 'files'}"
    if copied.links:
        message += f", {copied.links:,} {'link' if copied.links == 1 else 'links'}"
    message += f", {size(copied.size)}"
    if copied.skipped:
        message += f"; left out, being no files: {', '.join(copied.skipped[:5])}"
    return Message(message)
