"""`.dockerignore` against the docker command: the same files go into an image."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.docker.context import dockerfile_of, ignored, pack
from agentnb.core.docker.goregex import GoRegex
from agentnb.core.docker.ignore import IgnoreList, parse
from agentnb.core.errors import BuildFailed, ConfigError, NotFoundError
from tests.core.docker_contexts import reading

COMMAND = "/usr/bin/docker"

FILES = [
    ".git/config", ".git/HEAD", "app/.git/config", "app/deep/.git/HEAD",
    "node_modules/x.js", "app/node_modules/y/z.js", "node_modules/keep/a.js",
    "secrets/key", "app/secrets/key", "app/deep/secrets/pub", "app/deep/secrets/key",
    "data/set.csv", "Data/Set.csv", "docs/readme.md", "docs/README.md", "README.md", "readme.md",
    "a", "b", "ab", "a.b", "a b", " a", "a1", "aab", "a+b", "(a)", "foo(1).txt", "foo1.txt",
    "[a]", "{a}", "$a", "^", "!a", "#a", "-", "..a", "a\\b", "*", "x\ny", "~", "a|b",
    "é.txt", "É.txt", "日本/あ.md", "日本/b.log", "x.log", "keep.log", "app/x.log", "app/keep.log",
    "app/deep/x.log", "app/__pycache__/m.pyc", "__pycache__/m.pyc", ".env", "app/.env",
    "app/main.py", "app/deep/er/main.py", "docker/Dockerfile",
]  # fmt: skip
LISTS = {
    "the template of docker init": "**/.git\n**/node_modules\n**/secrets\n**/__pycache__\n",
    "a folder, and what is kept of it": "**/node_modules\n!node_modules/keep\n",
    "a deep folder, and what is kept of it": "**/secrets\n!app/deep/secrets/pub\n",
    "nothing": "",
    "all": "*",
    "all, but": "*\n!app\n!README.md\n",
    "all, but one deep": "*\n!app/deep/er/main.py\n",
    "all at any depth, but": "**\n!app/main.py\n",
    "but, then not": "!app/main.py\n*\n",
    "not, but, not": "app\n!app/deep\napp/deep/secrets\n",
    "upper and lower case": "Data\n**/README.md\n",
    "lower case": "data\ndocs/readme.md\n*.TXT\n",
    "slashes around": "/data/\n/app/deep/\n",
    "many slashes": "//data//\napp//deep///er\n",
    "a folder or a file by a trailing slash": "a/\nb/\n.env/\n",
    "dots": "./data\napp/./deep\n./.\n.\n",
    "two dots": "app/../data\n../a\n/../b\n../../etc\n",
    "comments": "# data\n #data\n\t# a\n#a\n\\#a\n",
    "white space": "  data  \n\t.env\t\n a b \n\xa0app/main.py\u3000\n",
    "a name with a space in front": "/ a\n",
    "a mark of the byte order": "\ufeffdata\n\ufeffa\n",
    "a mark of the byte order before a comment": "\ufeff# data\na\n",
    "line ends of windows": "data\r\n!data/set.csv\r\n*.log\r\n",
    "line ends of old": "data\ra\n",
    "form feeds are no line ends": "data\x0ca\nb\x0b\n",
    "separators of lines are none": "data\u2028a\n",
    "a star": "*.log\napp/*\n!app/*.py\n",
    "a star in a folder's name": "*/x.log\n*/*/x.log\n",
    "two stars in front": "**/*.log\n",
    "two stars behind": "app/**\n",
    "two stars between": "app/**/secrets\n**/deep/**/main.py\n",
    "two stars at a name": "**log\nnode**\n",
    "three stars": "***/x.log\n***\n!***.md\n",
    "two stars and a folder's file": "**/app/*\n!**/main.py\n",
    "keep by two stars": "app\n!**/main.py\n",
    "keep by a star": "app/*\n!app/*/er\n",
    "a question mark": "a?\n?.log\n??\n",
    "a question mark is no slash": "app?main.py\n",
    "classes": "[ab]\n[a-c]?\n[^a-z].log\n[é]*\n",
    "a class of other characters": "[!a]\n[]\n",
    "a class that is escaped": "\\[a\\]\n",
    "a closing bracket in a class": "[[a\\]]\\]\n",
    "a range by letters beyond": "[À-ÿ].txt\n",
    "a star in a class": "[*]\n",
    "named classes": "[[:alpha:]]\n[[:digit:]x]*\n",
    "an escape": "\\*\n\\!a\n\\a\\b\n",
    "an escape that is a class": "a\\d\n\\w\\w\n",
    "an escaped backslash": "a\\\\b\n",
    "an escape at the end": "a\\\n",
    "an escape behind a star": "x*y\\\n",
    "a class without an end": "[a\n",
    "a class without an end behind a star": "a*[b\n",
    "marks of regular expressions": "a+b\n(a)\n$a\n^\n{a}\na|b\n",
    "a group": "foo(1).txt\n",
    "a number of times": "a{2}b\n",
    "a group without an end": "(a\n",
    "an exclamation mark alone": "a\n!\n",
    "an exclamation mark and a dot": "*\n!.\n",
    "an exclamation mark and a slash": "*\n!/\n",
    "an exclamation mark twice": "*\n!!a\n",
    "an exclamation mark and a space": "*\n! a\n!  app \n",
    "an exclamation mark and a slash before a name": "*\n!/app/\n",
    "the list itself": ".dockerignore\nDockerfile\n",
    "the list itself by stars": "**/Docker*\n.*\n",
    "the folder of the dockerfile": "docker\n",
    "letters of elsewhere": "日本/*.md\né.*\n",
    "bytes that are no text": b"\xff*\nbad\xffname\n",
    "a question mark for bytes that are no text": b"bad?name\n",
    "a line end in a name": "x?y\n",
    "names of links": "link\nto-folder\nto-folder/x\n",
    "what is in a folder that is empty": "empty/*\n",
    "an empty folder": "empty\n**/none\n",
}  # fmt: skip
BUILT = ("the template of docker init", "all, but", "upper and lower case", "the list itself",
         "a deep folder, and what is kept of it")  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("FROM scratch\n")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (folder / "link").symlink_to("/etc")
    (folder / "to-folder").symlink_to("app")
    (folder / "dangling").symlink_to("nosuch")
    (folder / "empty" / "none").mkdir(parents=True)
    with open(os.fsencode(folder) + b"/bad\xffname", "w"):  # noqa: PTH123 - a name of bytes
        pass
    return folder


@pytest.fixture(scope="module")
def command(require):
    """Return docker's own command, whose reading of a list is the one to have."""
    try:
        said = subprocess.run(
            [COMMAND, "--version"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except OSError:
        said = ""
    require("docker", "version 20.10" in said, f"{COMMAND} is not Debian's of 20.10: {said!r}")
    return COMMAND


@pytest.fixture(scope="module")
def reader(command, tmp_path_factory):
    with reading(command, tmp_path_factory.mktemp("sent")) as found:
        yield found


def sent(folder, dockerfile=None):
    """Return the names that agentnb sends; None where it refuses the list."""
    found = dockerfile_of(folder, None, dockerfile)
    try:
        with pack(folder, found, ignored(folder, found.name, modern=False)) as context:
            return {member.name for member in tarfile.open(fileobj=context)}
    except ConfigError:
        return None


def write_list(folder, text):
    data = text if isinstance(text, bytes) else text.encode()
    (folder / ".dockerignore").write_bytes(data)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_read_as_docker_reads_it(tree, reader, name):
    write_list(tree, LISTS[name])
    dockerfile = "docker/Dockerfile" if "folder of the dockerfile" in name else None
    assert sent(tree, dockerfile) == reader.names(tree, dockerfile)


def tree_of(engine, tag):
    """Return the names in an image."""
    made = engine.create_container(tag, "none")
    try:
        data = b"".join(engine.export(made["Id"]))
    finally:
        engine.remove_container(made["Id"])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name.strip("/") for member in archive}


def test_an_image_has_the_files_that_docker_builds_into_it(docker, docker_engine, command, tree):
    for name in BUILT:
        write_list(tree, LISTS[name])
        tag = f"agentnb-test-{os.getpid()}-ignore"
        docker.build_image(tree, f"{tag}:ours")
        subprocess.run(
            [command, "build", "-q", "-t", f"{tag}:docker", str(tree)],
            env={**os.environ, "DOCKER_BUILDKIT": "0"},
            capture_output=True,
            check=True,
            timeout=120,
        )
        try:
            ours = tree_of(docker_engine, f"{tag}:ours")
            assert ours == tree_of(docker_engine, f"{tag}:docker"), name
            assert ("Dockerfile" in ours) == (name not in {"the list itself", "all, but"})
        finally:
            docker_engine.remove_image(f"{tag}:docker", force=True)
            docker_engine.remove_image(f"{tag}:ours", force=True)


def test_a_newer_docker_leaves_out_all_that_is_in_a_folder_it_leaves_out():
    text = b"**/secrets\n!app/secrets/pub\n**log\na+b\n"
    old, new = parse(text), parse(text, modern=True)
    for path, before, since in (
        ("app/secrets/pub", False, False),
        ("app/secrets/key", True, True),
        ("app/deep/secrets/key", False, True),
        ("secrets/key", False, True),
        ("a/x.log", False, True),
        ("a+b", False, True),
        ("aab", True, False),
    ):
        assert (old.excludes(path), new.excludes(path)) == (before, since), path


def test_a_list_named_after_the_dockerfile_wins(tmp_path):
    for name in ("Dockerfile", "other/app.Dockerfile", "a", "b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("FROM scratch\n")
    write_list(tmp_path, "a\n")
    (tmp_path / "other" / "app.Dockerfile.dockerignore").write_text("b\n")
    assert {"a", "b"} & sent(tmp_path) == {"b"}
    assert {"a", "b"} & sent(tmp_path, "other/app.Dockerfile") == {"a"}


def test_a_list_or_a_dockerfile_that_leads_out_is_refused_and_one_inside_is_read(tmp_path):
    folder = tmp_path / "context"
    folder.mkdir()
    (tmp_path / "out").write_text("FROM scratch\nLABEL leaked=yes\n")
    (folder / "real").write_text("FROM scratch\n")
    (folder / "list").write_text("real\n")
    (folder / "Dockerfile").symlink_to("real")
    (folder / ".dockerignore").symlink_to("list")
    made = dockerfile_of(folder, None, None)
    assert (made.data, made.beside) == (b"FROM scratch\n", True)
    assert "real" not in sent(folder)
    (folder / ".dockerignore").unlink()
    (folder / ".dockerignore").symlink_to(tmp_path / "out")
    with pytest.raises(ConfigError, match="leads out of"):
        ignored(folder, "Dockerfile", modern=False)
    (folder / "Dockerfile").unlink()
    (folder / "Dockerfile").symlink_to(tmp_path / "out")
    with pytest.raises(BuildFailed, match="leads out of"):
        dockerfile_of(folder, None, None)
    for name in ("../out", "nosuch", "real/x", str(tmp_path / "out")):
        with pytest.raises(NotFoundError, match="there is no "):
            dockerfile_of(folder, None, name)


def test_a_dockerfile_of_a_cell_does_not_stand_in_for_a_file(docker, docker_engine, tmp_path):
    (tmp_path / "Dockerfile").write_text("the folder's own\n")
    tag = f"agentnb-test-{os.getpid()}-cell"
    for text in (None, "x\n"):
        if text is not None:
            write_list(tmp_path, text)
        docker.build_image(tmp_path, tag, text="FROM scratch\nCOPY . /\n")
        names = tree_of(docker_engine, tag)
        assert "Dockerfile" in names
        assert not [name for name in names if name.startswith(".dockerfile.")]
        assert (".dockerignore" in names) == (text is not None)


@pytest.mark.parametrize(
    "text", ["^(a*)*b$", "^" + "(.*/)?" * 30 + "x$", "^" + "[^/]*a" * 30 + "b$"]
)
def test_a_pattern_of_any_kind_takes_time_by_the_length_of_the_path_alone(text):
    regex = GoRegex(text)
    started = time.process_time()
    assert not regex.search("a" * 4_000)
    assert time.process_time() - started < 30  # with backtracking it is the age of the universe


@given(st.text("ab/.*?[]^\\-!+(){}|$ #é\n\r", max_size=12), st.booleans())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_list_is_read_or_refused_by_its_line(text, modern):
    try:
        found = parse(text.encode(), modern=modern)
    except ConfigError as error:
        found = error
    if isinstance(found, ConfigError):
        assert ".dockerignore line " in found.message
        return
    assert isinstance(found, IgnoreList)
    for path in ("a", "a/b", "a/b/c", ".", "é"):
        assert found.excludes(path) == (found.reason(path) is not None)
    assert not found.keeping("a", "a/b").excludes("a/b")


def test_the_home_is_not_sent(make_docker, docker_engine, tmp_path):
    home = tmp_path / "deep" / ".agentnb"
    home.mkdir(parents=True, mode=0o700)
    (home / "token").write_text("x")
    (tmp_path / "deep" / "a").write_text("x")
    write_list(tmp_path, "!deep/.agentnb/token\n")
    tag = f"agentnb-test-{os.getpid()}-home"
    made = make_docker(home=home).build_image(tmp_path, tag, text="FROM scratch\nCOPY . /\n")
    assert "deep/.agentnb is not sent: it is the home of agentnb" in made.log
    names = tree_of(docker_engine, tag)
    assert "deep/a" in names
    assert not [name for name in names if "agentnb" in name]
