"""Settings of a user's that change how git writes: each is overridden, and each has to be."""

from __future__ import annotations

import itertools
import os
import re

import pytest

from agentnb.core.errors import AgentnbError
from agentnb.core.git import GitManager, output

HOSTILE = {
    "core.abbrev": "4",
    "core.quotePath": "true",
    "core.warnAmbiguousRefs": "false",
    "i18n.commitEncoding": "ISO-8859-1",
    "i18n.logOutputEncoding": "ISO-8859-1",
    "color.advice": "always",
    "color.diff": "always",
    "color.remote": "always",
    "color.ui": "always",
    "diff.autoRefreshIndex": "false",
    "diff.context": "0",
    "diff.interHunkContext": "20",
    "diff.mnemonicPrefix": "true",
    "diff.noprefix": "true",
    "diff.orderFile": "/nosuch/file",
    "diff.relative": "true",
    "diff.renames": "false",
    "diff.suppressBlankEmpty": "true",
    "log.decorate": "full",
    "log.follow": "true",
    "log.showRoot": "false",
    "status.renames": "false",
}
# No value of these takes back what another one has set, so that options do.
BY_OPTION = {"log.excludeDecoration": "*", "format.pretty": "oneline"}


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """Return what sets one setting of the user's."""
    file = tmp_path_factory.mktemp("user") / "gitconfig"

    def configured(key=None, value=""):
        section, _, name = (key or "x.y").rpartition(".")
        text = f"[user]\n\tname = Ada\n\temail = a@example.com\n[{section}]\n\t{name} = {value}\n"
        file.write_text(text)

    configured()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(file))
        yield configured


@pytest.fixture(scope="module")
def folder(tmp_path_factory, user):
    """Return a folder of a repository that has something to say for every setting."""
    user()
    root = tmp_path_factory.mktemp("output")
    other = GitManager(root / "other")
    other.initialize()
    git = GitManager(root / "repository")
    git.initialize()
    (git.path / "sub").mkdir()
    (git.path / "sub" / "ä.txt").write_text("\n".join("one\n\ntwo\n\nthree\nfour" * 4))
    (git.path / "old.txt").write_text("a name\nthat\nchanges\n" * 9)
    (git.path / "touched").write_text("the same\n")
    (git.path / ".gitignore").write_text("*.log\n")
    git.add_files()
    git.commit("first")
    (git.path / "old.txt").rename(git.path / "middle.txt")
    git.add_files()
    git.commit("rené")
    git.create_branch("twin", "HEAD~1", switch=False)
    git.create_tag("twin")
    (git.path / "middle.txt").rename(git.path / "new.txt")
    git.add_files()
    lines = (git.path / "sub" / "ä.txt").read_text().split("\n")
    lines[2] = lines[14] = "changed"
    (git.path / "sub" / "ä.txt").write_text("\n".join(lines))
    (git.path / "x.log").write_text("ignored")
    git.add_remote("origin", str(other.path))
    return git.path / "sub"


CLOCK = itertools.count(1_000_000_000)


def told(folder):
    """Return all that a manager says of a repository, errors included."""
    os.utime(folder.parent / "touched", (next(CLOCK), 0))
    git = GitManager(folder)
    asked = (
        lambda: str(git.get_diff()),
        lambda: str(git.diff("HEAD")) + repr(git.diff("HEAD")),
        git.diff,
        lambda: git.log(revision="HEAD"),
        lambda: git.log(paths="../middle.txt"),
        lambda: git.log(revision="twin"),
        lambda: git.show("HEAD~1"),
        git.show,
        git.status,
        git.branches,
        lambda: git.add_files("../x.log"),
        lambda: git.push("origin", "main"),
        lambda: commit(git),
    )
    found = []
    for ask in asked:
        try:
            found.append(repr(ask()))
        except AgentnbError as error:
            found.append(f"{error.message} {error.hint}")
    return re.sub(r"\b[0-9a-f]{10,64}\b", "SHA", "\n".join(found))


def commit(git):
    """Commit and take it back; return how the commit is shown."""
    sha = git.commit("café", allow_empty=True)
    try:
        log = re.sub(r"\d\d-\d\d \d\d:\d\d", "MM-DD HH:MM", repr(git.log(1)))  # it goes on
        return log, git.show(sha).message
    finally:
        git._repository.run("update-ref", "HEAD", f"{sha}^")


def test_the_settings_are_those_that_are_tested():
    assert output.SETTINGS.keys() == HOSTILE.keys()


def test_no_setting_of_a_user_changes_what_is_read(folder, user, monkeypatch):
    user()
    usual = told(folder)
    for key, value in (HOSTILE | BY_OPTION).items():
        user(key, value)
        assert told(folder) == usual, key
    for key, value in HOSTILE.items():
        user(key, value)
        with monkeypatch.context() as patch:
            patch.delitem(output.SETTINGS, key)
            assert told(folder) != usual, f"{key} has no effect: it need not be overridden"
