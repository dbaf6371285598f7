"""%files and %%files on a real folder: the workspace of an empty project."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import FileChanged, PathEscape, UsageError
from agentnb.core.files import hash_of
from agentnb.core.format import size
from agentnb.magics import find
from agentnb.magics.progress import Progress


@pytest.fixture
def files(shell):
    return shell.user_ns["hub"].files


def test_a_cell_becomes_a_file_in_the_workspace(run, project):
    said = run("%%files write src/main.py\nprint('é {x} $y')\n\nx = 1\n")
    assert repr(said) == "src/main.py: 3 lines, 26 B"
    assert (project / "workspace/src/main.py").read_text() == "print('é {x} $y')\n\nx = 1\n"
    assert run("%files cat src/main.py") == "print('é {x} $y')\n\nx = 1\n"


def test_the_bare_magic_says_where_and_how_much(run, files):
    files.write_file("a/b", "x" * 1500)
    assert repr(run("%files")).splitlines() == [
        "workspace  files  folders    size  quota",
        "workspace      1        1  1.5 kB  10 GB",
    ]


def test_a_folder_is_listed_as_a_person_reads_it(run, files):
    assert "%%files write PATH" in repr(run("%files ls"))
    files.write_file("z/1", "x" * 2500)
    files.write_file("b.txt", "x" * 2500)
    table = run("%files ls")
    assert table.columns == ("name", "size", "modified")
    assert [(row.name, row.size) for row in table] == [("z/", None), ("b.txt", 2500)]
    assert "2.5 kB" in repr(table)
    assert "NULL" not in repr(table)
    (files.root / "link").symlink_to("z")
    assert ("link", "link") in [(row.name, row.kind) for row in run("%files ls")]
    assert [row.name for row in run("%files ls z")] == ["1"]


def test_a_long_text_is_whole_and_shown_in_part(run, files):
    files.write_file("log", "".join(f"line {n}\n" for n in range(1000)))
    text = run("%files cat log")
    assert len(text.splitlines()) == 1000
    assert repr(text).endswith("line 199\n… the first 200 of 1,000 lines")
    assert repr(run("%files cat log -n 2")) == "line 0\nline 1\n… the first 2 of 1,000 lines"
    files.write_file("wide", "<b>" * 50_000)
    assert "the first 50,000 of 150,000 characters" in repr(run("%files cat wide"))
    assert "<b>" not in run("%files cat wide")._repr_html_()


def test_a_text_of_windows_is_shown_whole(run, files):
    files.write_file("dos", "one\r\ntwo\r\n")
    assert repr(run("%files cat dos")) == "one\ntwo"
    files.write_file("full", ("x" * 49 + "\r\n") * 1000)
    assert repr(run("%files cat full -n 1000")).endswith("x")
    note = "the first 2,000 of 3,000 lines, of them the first 50,000 of 99,999 characters"
    files.write_file("wide", ("x" * 49 + "\r\n") * 3000)
    assert repr(run("%files cat wide -n 2000")).endswith(note)


def test_the_ends_of_a_file_are_shown_and_added_to(run, files, shown):
    files.write_file("log", "".join(f"line {n}\n" for n in range(1000)))
    assert run("%files head log").splitlines() == [f"line {n}" for n in range(10)]
    assert run("%files tail log -n 2") == "line 998\nline 999\n"
    assert repr(run("%files head log -n 500")).count("\n") == 499
    assert run("%%files append log\nline 1000\n") == "log: 1 more line, 10 B"
    assert run("%files tail log -n 1") == "line 1000\n"
    assert "%%files append log" in shown("%files append log")
    assert "--lines must be 1 or more, got 0" in shown("%files head log -n 0")


def test_a_piece_of_a_file_is_replaced_from_a_line_or_a_cell(run, files, shown):
    files.write_file("a.py", "def f():\n    debug = True\n    return 1")
    assert repr(run("%files edit a.py 'debug = True' 'debug = False'")).splitlines() == [
        *("--- a.py", "+++ a.py", "@@ -1,3 +1,3 @@", " def f():", "-    debug = True"),
        *("+    debug = False", "     return 1", "\\ No newline at end of file"),
    ]
    block = "<<<<<<< SEARCH\ndef f():\n    debug = False\n=======\ndef f():\n>>>>>>> REPLACE\n"
    run(f"%%files edit a.py\n{block}")
    assert files.read_file("a.py") == "def f():\n    return 1"
    run("%%files edit a.py\n<<<<<<<\n    return 1\n=======\n    return 2\n>>>>>>>")
    assert files.read_file("a.py") == "def f():\n    return 2"
    run("%%files edit a.py\n<<<<<<<\ndef f():\n=======\n>>>>>>>\n")
    assert files.read_file("a.py") == "    return 2"
    run("%files edit a.py return give --count 1")
    for line, body, said in (
        ("%files edit a.py give", None, "%files edit a.py 'old' 'new'"),
        ("%files edit a.py take give", None, "old is not in a.py"),
        ("%files edit a.py give take --count 2", None, "old is once in a.py (line 1), not 2"),
        ("%%files edit a.py", "give\n", "the cell is not one piece"),
        ("%%files edit a.py", "<<<<<<<\na\n>>>>>>>\n", "the cell is not one piece"),
    ):
        assert said in shown(line if body is None else f"{line}\n{body}")
    assert files.read_file("a.py") == "    give 2"


def test_a_picture_is_shown_as_one_and_other_bytes_are_an_error(run, files, shown):
    data = b"\x89PNG\r\n\x1a\n" + bytes(20)
    files.write_file("plot.png", data)
    assert run("%files cat plot.png").data == data
    files.write_file("raw", b"\xff\x00")
    assert "hub.files.read_file(..., encoding=None)" in shown("%files cat raw")


def test_files_and_folders_are_copied_into_a_folder_or_under_a_name(run, files):
    files.write_file("src/a", "1")
    files.write_file("src/b/c", "2")
    assert repr(run("%files cp src copy")) == "src → copy: 2 files, 2 B"
    assert repr(run("%files cp src copy")) == "src → copy/src: 2 files, 2 B"
    assert repr(run("%files cp src/a new/")) == "src/a → new/a: 1 file, 1 B"
    assert repr(run("%files cp src/a new/b")) == "src/a → new/b: 1 file, 1 B"
    assert files.glob("**/a") == ["copy/a", "copy/src/a", "new/a", "src/a"]


def test_what_is_moved_is_gone_from_where_it_was(run, files):
    files.write_file("a", "1")
    files.write_file("b", "2")
    with pytest.raises(UsageError, match="b exists already"):
        run("%files mv a b")
    assert repr(run("%files mv a b --overwrite")) == "a is now b"
    files.ensure_directory("dir")
    run("%files mv b dir")
    assert files.glob("**") == ["dir", "dir/b"]


def test_a_folder_is_removed_only_with_yes(run, files, shown):
    files.write_file("src/a", "1")
    files.write_file("src/b/c", "2")
    said = shown("%files rm src")
    assert "2 files in it; nothing was removed" in said
    assert "%files rm src --yes" in said
    assert repr(run("%files rm src/a")) == "src/a: removed"
    assert repr(run("%files rm src --yes")) == "src: removed with 2 in it"
    assert files.glob("**") == []


def test_patterns_and_usage_are_tables(run, files):
    files.write_file("src/a.py", "x" * 3000)
    files.write_file("b.py", "x" * 1000)
    assert run("%files glob **/*.py").column("path") == ["b.py", "src/a.py"]
    assert run("%files glob '[ab].py'").column("path") == ["b.py"]
    assert "**/*.txt looks in every folder" in repr(run("%files glob *.txt"))
    table = run("%files du")
    assert [(row.name, row.size, row.share) for row in table] == [
        ("src/", 3000, 0.75),
        ("b.py", 1000, 0.25),
    ]
    lines = repr(table).splitlines()
    assert lines[1].endswith("3.0 kB  " + "█" * 18)
    assert lines[2].endswith("1.0 kB  " + "█" * 6)
    assert table.note == "2 files, 4.0 kB"
    assert run("%files du src").column("name") == ["a.py"]


def test_a_file_is_written_only_if_it_is_new_or_unchanged(run, files):
    run("%%files write a --new\none\n")
    with pytest.raises(FileChanged, match="is there already"):
        run("%%files write a --new\ntwo\n")
    run(f"%%files write a --if-hash {hash_of('one' + chr(10))}\ntwo\n")
    with pytest.raises(FileChanged, match="has changed"):
        run(f"%%files write a --if-hash {hash_of('one')}\nthree\n")
    assert files.read_file("a") == "two\n"


def test_a_bound_name_is_a_path(run, files, shell):
    files.write_file("two words", "1")
    shell.user_ns["path"] = "two words"
    assert run("%files cat :path") == "1"
    assert run("%files cat 'two words'") == "1"
    shell.user_ns["path"] = files.root / "two words"
    assert run("%files cat :path") == "1"


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("%files lss", "did you mean ls?"),
        ("%files cat mian.py", "did you mean main.py?"),
        ("%files cat ../x", "leads out of the workspace"),
        ("%files ls /etc", "outside the workspace"),
        ("%files glob ../*", "go down only"),
        ("%files write x", "%%files write x"),
        ("%%files src/x.py\n1", "%%files write src/x.py"),
        ("%%files\n1", "%%files write PATH"),
        ("%%files wirte x\n1", "did you mean write?"),
        ("%%files cat x\n1", "takes no body"),
        ("%%files write x --new --if-hash 0\n1", "exclude each other"),
        ("%files cp a", "cp SOURCE DESTINATION"),
        ("%files rm . --yes", "by the way to it"),
        ("%files cat :answer", "must be a path, got int"),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(shown, files, shell, line, hint):
    shell.user_ns["answer"] = 42
    files.write_file("main.py", "")
    assert hint in shown(line)
    assert files.list().column("name") == ["main.py"]


def test_an_escape_is_an_error_that_tests_can_see(run):
    with pytest.raises(PathEscape):
        run("%files cat ../.agentnb/agentnb.db")


def test_progress_appears_only_when_it_takes_long(monkeypatch):
    import agentnb.magics.progress as module

    shown = []

    class Handle:
        def update(self, bar):
            shown.append(repr(bar))

    def display(bar, **_):
        shown.append(repr(bar))
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    clock = iter([0.0, 0.1, 0.6, 0.61, 0.8])
    monkeypatch.setattr(module, "monotonic", lambda: next(clock))
    with Progress("copying a", size) as progress:
        for done in (1, 2_000, 3_000, 4_000):
            progress(done, 10_000)
    assert shown == ["copying a: 2.0 kB of 10 kB", "copying a: 4.0 kB of 10 kB", ""]


def offered(shell, text):
    with provisionalcompleter():
        found = shell.Completer.completions(text, len(text))
        return [text[text.rfind(" ") + 1 : one.start] + one.text for one in found]


def test_tab_offers_verbs_and_paths(shell, files):
    for path in ("src/main.py", "src/made.txt", "src/sub/x", "sea", "two words", ".env.example"):
        files.write_file(path, "")
    assert offered(shell, "%files gl") == ["glob"]
    assert offered(shell, "%files cat s") == ["sea", "src/"]
    assert offered(shell, "%files cat src/ma") == ["src/made.txt", "src/main.py"]
    assert offered(shell, "%files cp src/main.py src/s") == ["src/sub/"]
    assert offered(shell, "%files cat .env") == [".env.example"]
    assert offered(shell, "%%files write src/su") == ["src/sub/"]
    assert offered(shell, "%files rm src --y") == ["--yes"]
    magic = find(shell).magic("files")
    assert list(magic.live("path", "../")) == list(magic.live("path", "nowhere/x")) == []


def test_help_is_printed(shown):
    assert "%%files write src/main.py" in shown("%files help")
    assert "--yes" in shown("%files rm --help")
