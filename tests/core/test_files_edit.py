"""Parts of files, additions, edits: what an agent does to a text without writing all of it."""

from __future__ import annotations

import asyncio
import difflib
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.errors import FileChanged, NotFoundError, RejectedError, UsageError
from agentnb.core.files import FileSystemManager, hash_of
from agentnb.core.files.editing import edited

LINES = "".join(f"line {n}\n" for n in range(1, 20_001))


@pytest.fixture
def files(tmp_path):
    with FileSystemManager(tmp_path / "ws") as made:
        yield made


# Parts


def test_a_part_is_what_the_tools_of_the_same_name_print(files):
    for text in (LINES, LINES[:-1], "one", "\n", "a\n\nb\r\nc", "é\n" * 40_000):
        files.write_file("it", text)
        for count in (1, 2, 3, 19_999, 20_001):
            for tool in ("head", "tail"):
                done = subprocess.run(
                    [tool, "-n", str(count), files.root / "it"], check=True, capture_output=True
                )
                assert files.read_file("it", **{tool: count}, encoding=None) == done.stdout
    files.write_file("it", LINES)
    for first, last in ((1, 1), (5, 7), (9000, 15_000), (20_000, 20_000), (19_999, 30_000)):
        expected = "".join(LINES.splitlines(keepends=True)[first - 1 : last])
        assert files.read_file("it", lines=(first, last)) == expected
    assert files.read_file("it", lines=(19_999, None)) == "line 19999\nline 20000\n"
    assert files.read_file("it", offset=3, length=10) == LINES[3:13]
    assert files.read_file("it", offset=len(LINES) - 3) == "00\n"
    assert files.read_file("it", offset=len(LINES)) == ""


def test_a_part_of_a_file_that_is_too_large_is_read(tmp_path):
    files = FileSystemManager(tmp_path, max_size=1000)
    (tmp_path / "log").write_text(LINES)
    with pytest.raises(RejectedError):
        files.read_file("log")
    assert files.read_file("log", tail=2) == "line 19999\nline 20000\n"
    for part in ({"head": 500}, {"tail": 500}, {"lines": (1, None)}, {"offset": 0}):
        with pytest.raises(RejectedError, match="the part of log has more than 1,000 bytes"):
            files.read_file("log", **part)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"head": 0}, "head must be 1 or more, got 0"),
        ({"tail": -1}, "tail must be 1 or more, got -1"),
        ({"head": 1.5}, "head must be 1 or more, got 1.5"),
        ({"lines": (0, 3)}, "the first of lines must be 1 or more, got 0"),
        ({"lines": (3, 2)}, "the last of lines must be 3 or more, got 2"),
        ({"lines": 3}, r"lines must be \(FIRST, LAST\), got 3"),
        ({"offset": -1}, "offset must be 0 or more, got -1"),
        ({"offset": 0, "length": 0}, "length must be 1 or more, got 0"),
        ({"head": 1, "tail": 1}, "head and tail exclude each other"),
        ({"lines": (1, 2), "length": 5}, "lines and offset and length exclude each other"),
        ({"offset": 9}, "it has 8 bytes; offset is 9"),
        ({"lines": (4, 5)}, "it has 3 lines; the first of lines is 4"),
        ({"offset": 1, "length": 3}, "byte 1 of it lies inside of a character"),
        ({"offset": 2, "length": 2}, "byte 4 of it lies inside of a character"),
        ({"head": 1, "encoding": "utf-16"}, "lines cannot be found in utf-16"),
        ({"head": 1, "encoding": "no-such"}, "there is no encoding 'no-such'"),
    ],
)
def test_a_part_that_is_none_is_an_error_that_says_why(files, part, message):
    files.write_file("it", "é\né\nb\n")
    with pytest.raises(UsageError, match=message):
        files.read_file("it", **part)


def test_the_hint_of_a_cut_character_works(files):
    files.write_file("it", "aé€😀z")
    for offset in range(11):
        for length in range(1, 11 - offset):
            part = {"offset": offset, "length": length}
            while True:
                try:
                    text = files.read_file("it", **part)
                except UsageError as error:
                    name, _, number = error.hint.partition(",")[0].partition("=")
                    assert part[name] != int(number)
                    part[name] = int(number)
                    continue
                assert text in "aé€😀z"
                break


# Additions


def test_what_is_appended_is_behind_what_was_there(files):
    files.append("logs/it.txt", "one\n")
    files.append("logs/it.txt", b"two\r\n")
    assert files.read_file("logs/it.txt", encoding=None) == b"one\ntwo\r\n"
    files.write_file("marked", "a", encoding="utf-8-sig")
    files.append("marked", "é", encoding="utf-8-sig")
    assert files.read_file("marked", encoding=None) == b"\xef\xbb\xbfa\xc3\xa9"
    os.link(files.root / "marked", files.root.parent / "outside")
    files.append("marked", "!")
    assert (files.root.parent / "outside").read_bytes() == b"\xef\xbb\xbfa\xc3\xa9"


def test_of_several_that_append_and_edit_none_is_lost(files):
    files.write_file("it", "count: 0\n")

    def work(name):
        for _ in range(10):
            files.append("it", f"{name}\n")
            while True:
                text = files.read_file("it", head=1)
                number = int(text.split(":")[1])
                try:
                    files.edit("it", f"count: {number}\n", f"count: {number + 1}\n")
                except UsageError:
                    continue
                break

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    first, *rest = files.read_file("it").splitlines()
    assert first == "count: 40"
    assert sorted(rest) == sorted("abcd" * 10)


# Edits


def test_a_piece_is_replaced_where_it_is_once(files):
    files.write_file("a.py", "def f():\n    return 1\n\ndef g():\n    return 2\n")
    done = files.edit("a.py", "    return 2", "    return 3")
    assert files.read_file("a.py") == "def f():\n    return 1\n\ndef g():\n    return 3\n"
    assert (done.path, done.count) == ("a.py", 1)
    assert done.hash == files.hash_file("a.py")
    assert str(done).splitlines() == [
        *("--- a.py", "+++ a.py", "@@ -2,4 +2,4 @@", "     return 1", " ", " def g():"),
        *("-    return 2", "+    return 3"),
    ]


@pytest.mark.parametrize(
    ("old", "options", "message", "hint"),
    [
        ("return", {}, r"old is 2 times in a\.py \(lines 2, 5\), not once", "count=2"),
        ("return", {"count": 3}, "not 3 times; nothing was written", "count=2"),
        ("retrun", {}, r"old is not in a\.py; nothing was written", "copy the text"),
        ("def f(): return 1", {}, r"old is not in a\.py", "with other spaces"),
        ("", {}, "old is empty", "append"),
        ("new", {}, "old and new are the same text", None),
        ("xx", {}, r"old overlaps itself in line 6 of a\.py", "more of the text"),
        (b"return", {}, "old must be text, got b'return'", None),
        ("return 1", {"count": 0}, "count must be 1 or more, got 0", None),
        ("return 1", {"if_hash": "0" * 64}, "has changed since it was read", None),
    ],
)
def test_an_edit_that_does_not_fit_writes_nothing(files, old, options, message, hint):
    text = "def f():\n    return 1\n\ndef g():\n    return 2\nxxx\n"
    files.write_file("a.py", text)
    with pytest.raises((UsageError, FileChanged), match=message) as raised:
        files.edit("a.py", old, "new", **options)
    assert hint is None or hint in raised.value.hint
    assert files.read_file("a.py") == text


def test_an_edit_of_no_file_makes_nothing(files):
    files.write_file("raw", b"\xff\xfe\x00")
    with pytest.raises(NotFoundError):
        files.edit("new/a.py", "a", "b")
    assert not files.exists("new")
    with pytest.raises(UsageError, match="no text in utf-8"):
        files.edit("raw", "a", "b")


def test_line_ends_stay_as_they_are(files):
    files.write_file("dos", "a\r\nb\r\nc\r\n")
    files.edit("dos", "a\nb\n", "x\ny\nz\n")
    assert files.read_file("dos") == "x\r\ny\r\nz\r\nc\r\n"
    files.write_file("unix", "a\nb\nc\n")
    files.edit("unix", "a\r\nb", "x\r\ny")
    assert files.read_file("unix") == "x\ny\nc\n"
    files.write_file("mixed", "a\r\nb\nc\nd\r\n")
    files.edit("mixed", "b\n", "B\nB\n")
    files.edit("mixed", "d", "D\nD")
    assert files.read_file("mixed") == "a\r\nB\nB\nc\nD\r\nD\r\n"
    files.write_file("none", "a b")
    files.edit("none", " ", "\r\n")
    assert files.read_file("none") == "a\r\nb"


def test_an_edit_of_many_places_takes_linear_time(files):
    files.write_file("many", "value = 1\n" * 100_000)
    done = files.edit("many", "= 1", "= 22", count=100_000)
    assert files.read_file("many") == "value = 22\n" * 100_000
    assert done.diff.count("\n-") == 100_000 + 1 - 1
    files.write_file("long", "a" * 2_000_000)
    with pytest.raises(UsageError, match="overlaps itself"):
        files.edit("long", "a" * 1_000_000, "b")


PIECES = st.lists(st.sampled_from(["a", "b", "ab", "\n", "\r\n", " "]), max_size=12).map("".join)


@given(text=PIECES, old=PIECES.filter(bool), new=PIECES)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_an_edit_is_a_replacement_and_its_diff_says_so(text, old, new):
    plain, piece = text.replace("\r\n", "\n"), old.replace("\r\n", "\n")
    count = plain.count(piece)
    overlaps = sum(plain.startswith(piece, at) for at in range(len(plain))) != count
    if not count or overlaps:
        with pytest.raises(UsageError):
            edited(text, old, new, count=max(1, count), path="it")
        return
    after, diff = edited(text, old, new, count=count, path="it")
    expected = plain.replace(piece, new.replace("\r\n", "\n"))
    assert after.replace("\r\n", "\n") == expected
    if "\r\n" not in text and "\n" in text:
        assert after == expected  # no line end has become another one
    # What is left of the diff's two sides is what was and what is there.
    sides = {"-": [], "+": []}
    for line in diff.splitlines()[2:]:
        if line[:1] in {"-", " "}:
            sides["-"].append(line[1:])
        if line[:1] in {"+", " "}:
            sides["+"].append(line[1:])
    for lines, whole in ((sides["-"], plain), (sides["+"], expected)):
        assert all(line in whole.split("\n") for line in lines)
    changed = [
        line
        for line in difflib.unified_diff(plain.split("\n"), expected.split("\n"), n=0, lineterm="")
        if line[:1] in "+-" and line not in {"--- ", "+++ "}
    ]
    assert bool(changed) == any(line[:1] in "+-" for line in diff.splitlines()[2:])


# What is protected


def test_a_read_only_file_is_not_changed_also_as_root(files):
    files.write_file("d/kept", "kept")
    files.write_file("other", "other")
    (files.root / "d/kept").chmod(0o444)
    for call in (
        lambda: files.write_file("d/kept", "x"),
        lambda: files.append("d/kept", "x"),
        lambda: files.edit("d/kept", "kept", "x"),
        lambda: files.copy_file("other", "d/kept"),
        lambda: files.move("other", "d/kept", overwrite=True),
        lambda: files.move("d/kept", "moved"),
        lambda: files.delete("d/kept"),
        lambda: files.delete("d", recursive=True),
    ):
        with pytest.raises(RejectedError, match="read-only") as raised:
            call()
        assert "chmod" in raised.value.hint
    assert files.read_file("d/kept") == "kept"
    assert files.read_file("other") == "other"
    files.copy_file("d/kept", "copy")
    assert (files.root / "copy").stat().st_mode & 0o777 == 0o444
    files.copy_directory("d", "e")
    with pytest.raises(RejectedError, match="e/kept is read-only"):
        files.copy_directory("d", "e")


def test_a_read_only_workspace_is_read_and_never_changed(files):
    files.write_file("d/a", "a")
    other = FileSystemManager(files.root, read_only=True)
    for call in (
        lambda: other.write_file("b", "x"),
        lambda: other.append("d/a", "x"),
        lambda: other.edit("d/a", "a", "b"),
        lambda: other.ensure_directory("e"),
        lambda: other.copy_file("d/a", "b"),
        lambda: other.copy_directory("d", "e"),
        lambda: other.move("d", "e"),
        lambda: other.delete("d", recursive=True),
    ):
        with pytest.raises(RejectedError, match="the workspace is read-only") as raised:
            call()
        assert "AGENTNB_WORKSPACE_READONLY=0" in raised.value.hint
    assert other.read_file("d/a") == "a"
    assert files.glob("**/*") == ["d", "d/a"]
    missing = FileSystemManager(files.root / "missing", read_only=True)
    with pytest.raises(Exception, match="cannot be used"):
        missing.list()
    assert not missing.root.exists()


def test_every_way_in_has_the_limit_of_size(files):
    (files.root / "d").mkdir(parents=True)
    (files.root / "d/large").write_text("x" * 1001)
    (files.root / "small").write_text("x" * 1000)
    limited = FileSystemManager(files.root, max_size=1000)
    for call in (
        lambda: limited.write_file("a", "x" * 1001),
        lambda: limited.append("small", "x"),
        lambda: limited.append("d/large", ""),
        lambda: limited.edit("d/large", "x", "y", count=1001),
        lambda: limited.copy_file("d/large", "a"),
        lambda: limited.copy_directory("d", "e"),
    ):
        with pytest.raises(RejectedError, match="1,001 bytes; 1,000 are allowed"):
            call()
    files.write_file("words", "a b")
    with pytest.raises(RejectedError, match="1,002 bytes"):
        limited.edit("words", "a", "a" * 1000)
    assert files.glob("*") == ["d", "small", "words"]


def test_the_quota_holds_over_processes(tmp_path):
    root, home = tmp_path / "ws", tmp_path / "home"
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from agentnb.core.errors import RejectedError\n"
        "from agentnb.core.files import FileSystemManager\n"
        "root, home, own = sys.argv[1:]\n"
        "files = FileSystemManager(root, home=Path(home), quota=3_000_000)\n"
        "sys.stdin.readline()\n"
        "for n in range(3):\n"
        "    try:\n"
        "        files.write_file(f'{own}-{n}', b'x' * 450_000)\n"
        "    except RejectedError as error:\n"
        "        assert 'of 3,000,000 are left' in error.message, error\n"
    )
    words = [sys.executable, "-c", script, str(root), str(home)]
    workers = [
        subprocess.Popen([*words, str(n)], stdin=subprocess.PIPE, text=True) for n in range(4)
    ]
    for one in workers:
        one.stdin.write("begin\n")
        one.stdin.flush()
    for one in workers:
        one.communicate(timeout=60)
        assert one.returncode == 0
    sizes = [path.stat().st_size for path in root.iterdir()]
    assert sizes == [450_000] * 6  # as many as there is room for, and not one more
    kept = sorted((home / "files").iterdir())
    assert [path.stat().st_mode & 0o777 for path in kept] == [0o600] * 2


def test_nothing_is_measured_while_others_write(tmp_path):
    root, home = tmp_path / "ws", tmp_path / "home"
    one, other = (FileSystemManager(root, home=home, quota=1000) for _ in range(2))
    found = []

    def write():
        try:
            found.append(other.write_file("b", "x" * 700))  # its first, so that it measures
        except RejectedError as error:
            found.append(error)

    second = threading.Thread(target=write)
    with one._quota.taken(400, "a"):
        second.start()
        second.join(0.3)
        assert second.is_alive()
        (root / "a").write_text("x" * 400)
    second.join()
    assert isinstance(found[0], RejectedError)
    one.write_file("c", "x" * 600)


def test_a_long_write_holds_up_no_other_while_there_is_room(tmp_path):
    root, home = tmp_path / "ws", tmp_path / "home"
    one, other = (FileSystemManager(root, home=home, quota=1000) for _ in range(2))
    one.write_file("a", "x" * 100)
    with one._quota.taken(200, "long"):
        other.write_file("b", "x" * 100)  # its first; it would wait, and fail in the end
    assert one.read_file("b") == "x" * 100


def test_what_a_writer_that_died_had_taken_is_given_back(tmp_path):
    root, home = tmp_path / "ws", tmp_path / "home"
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from agentnb.core.files import FileSystemManager\n"
        "root, home = sys.argv[1:]\n"
        "files = FileSystemManager(root, home=Path(home), quota=1000)\n"
        "with files._quota.taken(900, 'x'):\n"
        "    os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(root), str(home)], check=True)
    files = FileSystemManager(root, home=home, quota=1000)
    files.write_file("a", "x" * 1000)


def test_threads_share_a_quota_without_a_home(files, together):
    limited = FileSystemManager(files.root, quota=1000)
    names = iter("abcdefgh")
    _, errors = together(8, lambda: limited.write_file(next(names), "x" * 300))
    assert len(errors) == 5
    assert all(isinstance(error, RejectedError) for error in errors)


# What is said


def test_a_link_to_nothing_is_told_as_one(files):
    files.write_file("d/a", "")
    (files.root / "d/dang").symlink_to("gone")
    for call in (files.read_file, files.list, lambda path: files.edit(path, "a", "b")):
        with pytest.raises(NotFoundError, match=r"d/dang is a link to gone, which does not exist"):
            call("d/dang")
    assert not files.exists("d/dang")


@pytest.mark.parametrize(
    ("there", "asked", "hint"),
    [
        ("Shot 10.00\u202fPM.png", "Shot 10.00 PM.png", r"'Shot 10.00\u202fPM.png'"),
        ("cafe\u0301.txt", "caf\xe9.txt", r"'cafe\u0301.txt'"),
        ("caf\xe9.txt", "cafe\u0301.txt", r"'caf\xe9.txt'"),
        ("a\xa0b", "a b", r"'a\xa0b'"),
    ],
)
def test_a_name_that_looks_the_same_is_offered_in_ascii(files, there, asked, hint):
    files.write_file(there, "")
    with pytest.raises(NotFoundError) as raised:
        files.read_file(asked)
    assert raised.value.hint == f"did you mean {hint}? it looks the same"


def test_braces_and_classes_in_patterns(files):
    for path in ("a.ts", "b.tsx", "c.js", "src/d.ts", "src/x/e.tsx", "^a", "{a,b}"):
        files.write_file(path, "")
    assert files.glob("*.{ts,tsx}") == ["a.ts", "b.tsx"]
    assert files.glob("**/*.{ts,tsx}") == ["a.ts", "b.tsx", "src/d.ts", "src/x/e.tsx"]
    assert files.glob("{src,src/x}/*.{ts,t{s,sx}}") == ["src/d.ts", "src/x/e.tsx"]
    assert files.glob("[^ab]*") == ["^a", "c.js", "src", "{a,b}"]
    assert files.glob("[!ab]*") == ["^a", "c.js", "src", "{a,b}"]
    assert files.glob("[a^]*") == ["^a", "a.ts"]
    assert files.glob("[{]a,b}") == ["{a,b}"]
    for pattern, message in (
        ("{a", "a brace that is not closed"),
        ("{1..3}", "is a range"),
        ("{a,b}" * 11, "more than 1,000 patterns"),
        ("{" * 5000 + "}" * 5000, "more than 20 braces"),
    ):
        with pytest.raises(UsageError, match=message):
            files.glob(pattern)


WORDS = st.recursive(
    st.sampled_from(["a", "b", ".", "x,y", "[b]"]),
    lambda inner: st.lists(inner, max_size=3).map(
        lambda parts: "".join(parts) if len(parts) < 2 else "{" + ",".join(parts) + "}"
    ),
    max_leaves=6,
)


@given(pattern=st.lists(WORDS, min_size=1, max_size=3).map("".join).filter(bool))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_braces_stand_for_what_they_stand_for_in_bash(pattern):
    from agentnb.core.files.globbing import _alternatives

    done = subprocess.run(
        ["bash", "-c", f"set -f; printf '%s\\n' {pattern}"],
        check=True,
        capture_output=True,
        text=True,
    )
    # Where a part is nothing at all, bash leaves the word out.
    assert [one for one in _alternatives(pattern) if one] == done.stdout.splitlines()


def test_the_new_twins_are_awaited(files):
    async def work():
        await files.aappend("a", "one\n")
        await files.aedit("a", "one", "two")
        return await files.aread_file("a", tail=1)

    assert asyncio.run(work()) == "two\n"
    assert hash_of("two\n") == files.hash_file("a")
