"""A workspace that is the project: home, .env and .git are not part of it."""

from __future__ import annotations

import os

import pytest

import agentnb
from agentnb.core.errors import ConfigError, PathEscape
from agentnb.core.files import FileSystemManager
from agentnb.core.files.confinement import Openat2, Walk
from agentnb.core.hidden import NAMES_ONLY, Hidden

VERBS = {
    "read_file": lambda files, path: files.read_file(path),
    "head": lambda files, path: files.head(path),
    "hash_file": lambda files, path: files.hash_file(path),
    "write_file": lambda files, path: files.write_file(path, "x"),
    "ensure_directory": lambda files, path: files.ensure_directory(path),
    "exists": lambda files, path: files.exists(path),
    "resolve_path": lambda files, path: files.resolve_path(path),
    "list": lambda files, path: files.list(path),
    "glob": lambda files, path: files.glob(f"{path}/*"),
    "usage": lambda files, path: files.usage(path),
    "watch": lambda files, path: files.watch(path),
    "delete": lambda files, path: files.delete(path, recursive=True),
    "move from": lambda files, path: files.move(path, "new"),
    "move to": lambda files, path: files.move("app/main.py", path),
    "copy from": lambda files, path: files.copy_file(path, "new"),
    "copy to": lambda files, path: files.copy_file("app/main.py", path),
    "copy a folder from": lambda files, path: files.copy_directory(path, "new"),
    "copy a folder to": lambda files, path: files.copy_directory("app", path),
}
PATHS = [
    *(".env", ".git", ".git/config", ".git/hooks/pre-commit", ".agentnb", ".agentnb/modules/q.py"),
    *("app/.env", "app/.git/config", "app/.agentnb/x", "state/home", "state/home/agentnb.db"),
    *(".GIT/config", ".Env", ".git./config", ".git /config", ".g\u200cit/config", "GIT~1/config"),
    *("State/HOME/x", "app/../.git/config", "app/../state/home/x", ".git/../app/main.py"),
    *("to_env", "to_git/config", "app/to_home/agentnb.db", "to_state/home", "to_state/home/x"),
    *("to_new_env", "to_new_git/config"),
]


def tree(root):
    return sorted(
        (str(path.relative_to(root)), path.read_bytes() if path.is_file() else None)
        for path in root.rglob("*")
    )


@pytest.fixture(params=[Openat2, Walk], ids=["openat2", "walk"])
def files(request, tmp_path):
    """Return a workspace that holds a project: a repository, settings and a home."""
    root = tmp_path / "project"
    texts = {
        ".env": "TOKEN=1",
        ".git/config": "[core]",
        ".gitignore": "*.pyc",
        ".agentnb/modules/x.py": "",
        "app/main.py": "main",
        "app/.env": "TOKEN=2",
        "app/.git/config": "[core]",
        "state/home/agentnb.db": "rows",
        "state/kept.txt": "kept",
    }
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    links = {
        "to_env": ".env",
        "to_git": ".git",
        "app/to_home": "../state/home",
        "to_state": "state",
        "to_new_env": "state/.env",
        "to_new_git": "state/.git",
        "to_app": "app",
    }
    for link, target in links.items():
        (root / link).symlink_to(target)
    made = FileSystemManager(root, resolver=request.param(), home=root / "state" / "home")
    yield made
    made.close()


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_reaches_what_is_hidden(files, verb):
    before = tree(files.root)
    for path in PATHS:
        if path in {"to_env", "to_new_env", "to_new_git"} and verb in {"delete", "move from"}:
            continue  # of the link itself, which is an entry like any other
        if path in {"to_env", "to_new_env"} and verb in {"move to", "copy to", "copy a folder to"}:
            continue  # the link is replaced, or is there already
        with pytest.raises(PathEscape, match=r"is not part of|the pattern .* leaves"):
            VERBS[verb](files, path)
    assert tree(files.root) == before


def test_what_is_hidden_is_in_no_list(files):
    assert [row.name for row in files.list()] == [
        *("app", "state", ".gitignore"),
        *("to_app", "to_env", "to_git", "to_new_env", "to_new_git", "to_state"),
    ]
    assert [row.name for row in files.list("to_state")] == ["kept.txt"]
    assert files.glob("**/*") == [
        *(".gitignore", "app", "app/main.py", "app/to_home", "state", "state/kept.txt"),
        *("to_app", "to_env", "to_git", "to_new_env", "to_new_git", "to_state"),
    ]
    assert files.glob(".*/*") == []
    total = files.usage().total
    assert (total.files, total.folders) == (10, 2)
    assert files.usage("state").total.size == len("kept")


def test_the_quota_counts_what_can_be_seen(files):
    seen = files.usage().total.size
    other = FileSystemManager(files.root, quota=seen + 5, home=files.root / "state" / "home")
    other.write_file("a", "12345")


def test_a_watch_tells_nothing_of_it(files):
    with files.watch() as watcher:
        (files.root / ".env").write_text("TOKEN=3")
        (files.root / ".git" / "index").write_text("")
        (files.root / "state" / "home" / "new").write_text("")
        (files.root / "app" / "new").write_text("")
        assert [change.path for change in watcher.poll()] == ["app/new"]


def test_a_copy_leaves_it_out_and_names_it(files):
    copied = files.copy_directory("app", "copy")
    assert sorted(copied.skipped) == [".env", ".git"]
    assert sorted(path.name for path in (files.root / "copy").iterdir()) == ["main.py", "to_home"]
    copied = files.copy_directory("state", "copied")
    assert copied.skipped == ["home"]
    assert (copied.files, copied.folders) == (1, 0)


def test_a_folder_that_holds_it_is_not_removed(files):
    before = tree(files.root)
    for path, inside in (("app", r"\.(env|git)"), ("state", "home")):
        with pytest.raises(PathEscape, match=f"{path} holds {inside}.*nothing was removed"):
            files.delete(path, recursive=True)
    assert tree(files.root) == before
    files.copy_directory("app", "copy")
    assert files.delete("copy", recursive=True) == 3


def test_a_repository_moves_with_its_folder_and_a_home_stays(files):
    files.move("app", "lib/app")
    assert (files.root / "lib/app/.git/config").is_file()
    for path in ("state", "to_app/../state"):
        with pytest.raises(PathEscape, match="state/home is hidden"):
            files.move(path, "elsewhere")
    assert (files.root / "state/home/agentnb.db").is_file()


def test_names_that_only_look_like_it_are_names_like_any_other(files):
    for path in (".github/x", ".gitignore", ".env.example", ".agentnb-notes", "git", "a~1", "é"):
        files.write_file(path, "x")
        assert files.read_file(path) == "x"


def test_a_missing_name_is_not_answered_with_a_hidden_one(files):
    with pytest.raises(agentnb.NotFoundError) as raised:
        files.read_file(".enx")
    assert ".env" not in (raised.value.hint or "")


def test_a_home_elsewhere_hides_nothing_more(tmp_path):
    for home in (None, tmp_path / "home", tmp_path / "ws" / ".agentnb", tmp_path / "ws"):
        assert Hidden.below(tmp_path / "ws", home) == NAMES_ONLY
    assert Hidden.below(tmp_path, tmp_path / "Home").homes == (("home",),)
    (tmp_path / "link").symlink_to("real")
    assert Hidden.below(tmp_path, tmp_path / "link").homes == (("link",), ("real",))


def test_a_project_may_be_the_workspace(tmp_path):
    (tmp_path / ".env").write_text("TOKEN=1\n")
    with agentnb.connect(start=tmp_path, workspace=".", home=".agentnb") as hub:
        hub.db.execute("create table t (a)")
        hub.repo().initialize()
        hub.files.write_file("a.py", "a = 1")
        hub.repo().add_files()
        hub.repo().commit("first")
        assert [row.name for row in hub.files.list()] == ["a.py"]
        for path in (".agentnb/modules/queue_mail.py", ".env", ".git/config"):
            with pytest.raises(PathEscape):
                hub.files.write_file(path, "x")
        for path in (".agentnb/modules", ".git", tmp_path / ".agentnb"):
            with pytest.raises(PathEscape):
                hub.repo(path)
            with pytest.raises(PathEscape):
                hub.repo().clone(str(tmp_path), path)
            with pytest.raises(PathEscape):
                hub.repo().worktree(path, "agent/x")
        assert not (tmp_path / ".agentnb" / "modules").exists()


@pytest.mark.parametrize("workspace", [".agentnb", ".agentnb/modules", ".agentnb/redis/x", "link"])
def test_a_workspace_in_the_home_is_refused(tmp_path, workspace):
    (tmp_path / "link").symlink_to(".agentnb")
    with pytest.raises(ConfigError, match="lies in the home"):
        agentnb.connect(start=tmp_path, home=".agentnb", workspace=workspace)
    agentnb.connect(start=tmp_path, home=".", workspace="workspace").close()
    assert not os.path.lexists(tmp_path / ".agentnb")
