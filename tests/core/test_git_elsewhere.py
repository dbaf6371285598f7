"""Settings that count in another tree than the one that git starts in, and code beside them."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys

import pytest

from agentnb.core.errors import AgentnbError, ConfigError, RejectedError
from agentnb.core.git import GitManager
from agentnb.core.git.trees import in_work_tree

from .git_den import everything, touch


def evil(den):
    """Return settings of a filter that springs the trap."""
    return f'[filter "evil"]\n\tclean = {den.script}\n\tsmudge = {den.script}\n'


def branch_with_a_filter(den):
    """Make a branch `evil`, whose files ask for a filter."""
    den("switch", "-q", "-c", "evil")
    (den.path / ".gitattributes").write_text("*.txt filter=evil\n")
    (den.path / "d.txt").write_text("d\n")
    den("add", ".")
    den("commit", "-q", "-m", "evil")
    den("switch", "-q", "main")


def include_if(den, condition):
    branch_with_a_filter(den)
    (den.path / ".git" / "evil").write_text(evil(den))
    with (den.path / ".git" / "config").open("a") as file:
        file.write(f'[includeIf "{condition}"]\n\tpath = evil\n')
    return ["worktree", "add", "-q", "../sprung", "evil"]


def filter_on_a_branch(den):
    return include_if(den, "onbranch:evil")


def filter_in_further_work_trees(den):
    return include_if(den, "gitdir:**/worktrees/*")


def filter_where_there_is_a_remote(den):
    return include_if(den, "hasconfig:remote.*.url:**/remote.git")


def filter_of_another_work_tree(den):
    branch_with_a_filter(den)
    den("worktree", "add", "-q", "../linked", "evil")
    den("config", "extensions.worktreeConfig", "true")
    (den.path / ".git" / "worktrees" / "linked" / "config.worktree").write_text(evil(den))
    (den.folder / "linked" / "d.txt").write_text("changed\n")
    return ["worktree", "remove", "../linked"]


def _nested(den, path, name):
    """Make a repository in another one, with a filter of its own, and commit it there."""
    inner = path / name
    den.git(path, "init", "-q", "-b", "main", name)
    (inner / "s.txt").write_text("s\n")
    den.git(inner, "add", ".")
    den.git(inner, "commit", "-q", "-m", "s")
    den.git(path, "add", name)
    den.git(path, "commit", "-q", "-m", name)
    with (inner / ".git" / "config").open("a") as file:
        file.write(evil(den))
    (inner / ".git" / "info" / "attributes").write_text("*.txt filter=evil\n")
    (inner / "s.txt").write_text("c\n")  # as long as before, so that git has to look into it
    return inner


def filter_of_a_submodule(den):
    _nested(den, den.path, "inner")
    return ["add", "--all"]


def filter_of_a_submodule_when_stashing(den):
    _nested(den, den.path, "inner")
    touch(den)
    return ["stash", "push", "-q"]


def filter_of_a_submodule_in_a_split_index(den):
    _nested(den, den.path, "inner")
    den("update-index", "--split-index")
    return ["add", "--all"]


def filter_of_a_submodule_of_a_submodule(den):
    inner = _nested(den, den.path, "inner")
    (inner / ".git" / "config").write_text(
        '[core]\n\tbare = false\n[submodule "innermost"]\n\tignore = none\n'
    )
    (inner / ".gitmodules").write_text('[submodule "innermost"]\n\tpath = innermost\n')
    _nested(den, inner, "innermost")
    den.git(den.path, "commit", "-q", "-a", "-m", "deeper")
    return ["add", "--all"]


def filter_of_a_submodule_with_a_condition(den):
    inner = _nested(den, den.path, "inner")
    (inner / ".git" / "evil").write_text(evil(den))
    (inner / ".git" / "config").write_text('[includeIf "onbranch:main"]\n\tpath = evil\n')
    return ["add", "--all"]


def filter_in_settings_that_a_pull_brings(den):
    """A rebase puts changes aside, and brings them back by a git that reads its settings again."""
    (den.path / "settings").write_text("")
    den("add", ".")
    den("commit", "-q", "-m", "settings")
    den("push", "-q")
    other = den.folder / "other"
    den.git(den.folder, "clone", "-q", str(den.remote), "other")
    (other / "settings").write_text(evil(den))
    (other / ".gitattributes").write_text("*.txt filter=evil\n")
    den.git(other, "add", ".")
    den.git(other, "commit", "-q", "-m", "theirs")
    den.git(other, "push", "-q")
    den.config("include.path", "../settings")
    den.config("rebase.autoStash", "true")
    touch(den)
    return ["pull", "-q", "--rebase", "origin", "main"]


def filter_of_a_submodule_that_a_pull_brings(den):
    """What was an ignored folder until then, and is looked into when changes are brought back."""
    other = den.folder / "other"
    den.git(den.folder, "clone", "-q", str(den.remote), "other")
    (other / ".gitmodules").write_text('[submodule "inner"]\n\tpath = inner\n\turl = ./x\n')
    den.git(other, "add", ".gitmodules")
    inner = _nested(den, other, "inner")
    den.git(other, "push", "-q")
    shutil.copytree(inner, den.path / "inner")
    (den.path / ".git" / "info" / "exclude").write_text("inner\n")
    den.config("submodule.inner.ignore", "none")
    den.config("rebase.autoStash", "true")
    touch(den)
    return ["pull", "-q", "--rebase", "origin", "main"]


def filter_of_the_remote(den):
    """A push into a folder whose files go along."""
    den.git(den.folder, "clone", "-q", str(den.remote), "live")
    live = den.folder / "live"
    den.git(live, "config", "receive.denyCurrentBranch", "updateInstead")
    with (live / ".git" / "config").open("a") as file:
        file.write(evil(den))
    (live / ".git" / "info" / "attributes").write_text("*.txt filter=evil\n")
    den("remote", "set-url", "origin", str(live))
    touch(den)
    den("commit", "-q", "-a", "-m", "x")
    return ["push", "-q"]


TRAPS = [
    *(filter_on_a_branch, filter_in_further_work_trees, filter_where_there_is_a_remote),
    *(filter_of_another_work_tree, filter_of_a_submodule, filter_of_a_submodule_when_stashing),
    *(filter_of_a_submodule_of_a_submodule, filter_of_a_submodule_with_a_condition),
    *(filter_in_settings_that_a_pull_brings, filter_of_a_submodule_that_a_pull_brings),
    *(filter_of_a_submodule_in_a_split_index, filter_of_the_remote),
]


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
def test_a_trap_in_another_tree_does_not_spring_here(den, trap):
    command = trap(den)
    den.canary.unlink(missing_ok=True)
    git = GitManager(den.path, timeout=20)
    by_hand = [lambda: git._repository.run(*command)] if command[0] != "push" else []
    for call in (*by_hand, git.add_files, lambda: git.pull(rebase=True), git.push):
        with contextlib.suppress(AgentnbError):
            call()
    everything(git)
    assert den.sprung == ""


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
def test_the_traps_in_other_trees_are_real(den, trap):
    command = trap(den)
    den.canary.unlink(missing_ok=True)
    den(*command, check=False)
    assert den.sprung != ""


def test_settings_on_a_condition_are_refused_by_their_name(den):
    include_if(den, "onbranch:evil")
    for call in (GitManager(den.path).status, lambda: GitManager(den.path).worktree("wt", "evil")):
        with pytest.raises(ConfigError, match=r"includeIf\.onbranch:evil in ") as caught:
            call()
        assert "--remove-section includeIf.onbranch:evil" in caught.value.hint
    den("config", "--file", ".git/config", "--remove-section", "includeIf.onbranch:evil")
    assert not GitManager(den.path).status().changed


def test_conditions_of_the_user_s_own_stay_and_count_as_they_change(den, tmp_path, monkeypatch):
    settings = tmp_path / "gitconfig"
    settings.write_text(
        '[user]\nname = Ada\nemail = a@b\n[includeIf "onbranch:topic"]\npath = topic\n'
        "[include]\npath = more\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    den.attributes("a.txt filter=upper\n")
    (tmp_path / "topic").write_text('[user]\nname = Topic\n[filter "lower"]\nclean = cat\n')
    git = GitManager(den.path)
    git.status()
    (tmp_path / "more").write_text('[filter "upper"]\nclean = tr a-z A-Z\nsmudge = cat\n')
    (den.path / "a.txt").write_text("loud\n")
    git.commit("x", paths=["a.txt"])
    assert den("show", "HEAD:a.txt") == "LOUD\n"
    git.create_branch("topic")
    assert "lower" in {
        entry.subsection for entry in git._repository.config.of(git._repository.folders()).user
    }
    git.commit("y", allow_empty=True)
    assert git.log(1)[0].author == "Topic"


def test_a_repository_kept_beside_its_work_trees_works(den):
    """``.bare`` with the history, ``.git`` that points to it, and a folder for each branch."""
    folder = den.folder / "project"
    folder.mkdir()
    den.git(folder, "clone", "-q", "--bare", str(den.remote), ".bare")
    (folder / ".git").write_text("gitdir: ./.bare\n")
    git = GitManager(folder).worktree("main", "main")
    (git.path / "a.txt").write_text("changed\n")
    assert git.stash()
    git.stash_pop()
    assert git.commit("x", paths=["a.txt"])
    GitManager(folder).remove_worktree("main")
    with pytest.raises(ConfigError, match=r"a file that this could change: .*\.bare"):
        GitManager(folder).stash()


@pytest.mark.parametrize(
    ("file", "inside"),
    [
        ("settings", True),
        ("a/../settings", True),
        ("a/config", True),
        (".git/config", False),
        (".git/../settings", True),
        ("inner/.git/config", False),
        ("../elsewhere", False),
        ("out/config", True),
        (".git/link", True),
    ],
)
def test_a_file_may_change_if_any_way_to_it_is_in_the_work_tree(tmp_path, file, inside):
    root = tmp_path / "root"
    (root / ".git").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / ".git" / "link").symlink_to(root / "settings")
    assert in_work_tree(root / file, root) is inside


def test_a_pointer_is_read_as_git_reads_it(den):
    """A space at its end is of the name, so that nobody is led to another repository than git."""
    (den.path / ".git").rename(den.path / "meta ")
    (den.path / ".git").write_text("gitdir: meta \n")
    assert GitManager(den.path).status().branch == "main"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("part", ["repo", "repo/.git", "linked/.git", "folder"])
def test_each_part_of_a_repository_has_an_owner_that_git_trusts(den, part):
    den("worktree", "add", "-q", "../linked")
    given = {"folder": den.path / ".git"}.get(part, den.folder / part)
    os.chown(given, 12345, 12345)
    where = den.folder / "linked" if part in {"linked/.git", "folder"} else den.path
    with pytest.raises(ConfigError, match="dubious ownership"):
        GitManager(where).status()


def test_variables_that_name_another_repository_or_program_do_not_reach_git(
    den, tmp_path, monkeypatch
):
    den.config("core.worktree", str(tmp_path / "elsewhere"))
    for name in (
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"),
        *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_REPLACE_REF_BASE"),
        *("GIT_EXTERNAL_DIFF", "GIT_SHALLOW_FILE", "GIT_CONFIG", "GIT_ATTR_SOURCE"),
        *("GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_TRACE", "GIT_DEFAULT_HASH"),
        *("GIT_TEMPLATE_DIR", "GIT_SOMETHING_NEW", "GIT_REF_PARANOIA"),
    ):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Grace")
    touch(den)
    git = GitManager(den.path)
    assert git.status().changed == ["a.txt"]
    assert git.diff()
    git.commit("x", paths=["a.txt"])
    assert git.log(1)[0].author == "Grace"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("planted", ["nbstripout.py", "json.py"])
@pytest.mark.parametrize("whose", ["ours", "the user's"])
def test_a_filter_in_python_imports_nothing_of_the_repository(
    den, tmp_path, monkeypatch, planted, whose
):
    package = tmp_path / "package"
    package.mkdir()
    (package / "nbstripout.py").write_text("import json, sys\nsys.stdout.write('stripped\\n')\n")
    # An empty part is the folder that a program runs in.
    monkeypatch.setenv("PYTHONPATH", f":{package}")
    monkeypatch.syspath_prepend(package)
    if whose == "ours":
        den.config("filter.nbstripout.clean", "anything")
    else:
        settings = tmp_path / "gitconfig"
        settings.write_text(
            "[user]\nname = Ada\nemail = a@b\n"
            f'[filter "nbstripout"]\nclean = {sys.executable} -m nbstripout\nsmudge = cat\n'
        )
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    (den.path / planted).write_text(f"open({str(den.canary)!r}, 'w').write('sprung')\n")
    den.attributes("a.txt filter=nbstripout\n")
    touch(den)
    git = GitManager(den.path)
    git.diff()
    git.add_files("a.txt")
    assert den("show", ":a.txt") == "stripped\n"
    assert den.sprung == ""


def test_a_filter_of_a_submodule_does_not_keep_the_rest_from_being_staged(den):
    _nested(den, den.path, "inner")
    touch(den)
    git = GitManager(den.path)
    git.add_files()
    assert git.status().staged == ["a.txt"]
    with pytest.raises(RejectedError, match="'evil'"):
        GitManager(den.path / "inner").add_files("s.txt")


def test_a_command_of_several_steps_looks_at_what_may_become_a_submodule(den):
    """Which is any repository in the work tree, ignored ones too."""
    inner = _nested(den, den.path, "inner")
    den("rm", "-q", "--cached", "inner")
    den("commit", "-q", "-m", "no submodule")
    (den.path / ".git" / "info" / "exclude").write_text("inner\n")
    git = GitManager(den.path)
    found = git._repository.folders()
    for command, looked in (("stash", True), ("rebase", True), ("commit", False)):
        config = git._repository.config.for_command(found, [command], found.git_dir / "index")
        files = {entry.origin for entry in config.repository if entry.subsection == "evil"}
        assert files == ({str(inner / ".git" / "config")} if looked else set())
