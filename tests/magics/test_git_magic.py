"""%git on a real repository: the project's folder."""

from __future__ import annotations

import re
import subprocess

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import NonFastForward, NotFoundError, RejectedError, UsageError
from agentnb.core.git import GitManager
from agentnb.core.table import Table
from agentnb.magics import find


@pytest.fixture
def repository(project, run):
    """Return the project's folder as a repository of one commit."""
    run("%git init")
    (project / ".gitignore").write_text(".agentnb\n.ipython\nworkspace\n")
    (project / "a.py").write_text("a = 1\n")
    run('%git add\n%git commit -m "first"')
    return project


@pytest.fixture
def origin(repository, tmp_path_factory, run):
    """Give it a remote."""
    folder = tmp_path_factory.mktemp("remote") / "origin.git"
    subprocess.run(["git", "clone", "-q", "--bare", repository, folder], check=True)
    run(f"%git remote add origin {folder}")
    return folder


def test_the_bare_magic_tells_where_things_stand(shown, repository):
    assert "on main\nnothing has changed" in shown("%git")
    (repository / "a.py").write_text("a = 2\n")
    assert "changed  modified  a.py" in shown("%git")


def test_no_repository_is_an_error_that_says_how_to_make_one(shown):
    said = shown("%git")
    assert "RepositoryNotFound" in said
    assert "%git init" in said


def test_paths_patterns_and_bound_names_are_added(run, shell, repository):
    for name in ("b.py", "c.py", "d.txt", "e.txt"):
        (repository / name).write_text("x")
    assert run("%git add b.py d.txt").staged == ["b.py", "d.txt"]
    assert run("%git unstage").staged == []
    assert run("%git add *.py").staged == ["b.py", "c.py"]
    shell.user_ns["names"] = ["e.txt"]
    assert run("%git add :names").staged == ["b.py", "c.py", "e.txt"]
    with pytest.raises(NotFoundError, match=r"no changed file matches \*\.md"):
        run("%git add *.md")


def test_a_commit_is_of_what_is_staged_or_of_paths(run, shown, repository):
    for name in ("b.py", "c.py"):
        (repository / name).write_text("x")
    run("%git add b.py")
    assert [tuple(row) for row in run("%git commit --dry-run")] == [("new", "b.py")]
    sha = run('%git commit -m "only c" c.py')
    assert len(sha) == 40
    assert run("%git status").staged == ["b.py"]
    assert "main " in shown('%git commit -m "now b"')
    (repository / "d.py").write_text("x")
    run('%git commit --all -m "all"')
    assert run("%git status").clean
    assert [row.subject for row in run("%git log")] == ["all", "now b", "only c", "first"]


def test_a_commit_wants_a_message(run, repository):
    (repository / "b.py").write_text("x")
    with pytest.raises(UsageError, match="needs a message") as caught:
        run("%git commit b.py")
    assert "-m" in caught.value.hint


def test_what_differs_is_shown_and_told_by_options(run, repository):
    (repository / "a.py").write_text("a = 2\n")
    diff = run("%git diff")
    assert "+a = 2" in repr(diff)
    assert "<mark" in diff._repr_html_()
    assert not run("%git diff --staged")
    run("%git add")
    assert len(run("%git diff --staged a.py")) == 1
    assert len(run("%git diff --with HEAD")) == 1


def test_history_is_shown_with_its_graph(run, repository):
    (repository / "b.py").write_text("x")
    run('%git switch -c topic\n%git commit -m "on topic" b.py')
    (repository / "c.py").write_text("x")
    run('%git switch main\n%git commit -m "on main" c.py')
    log = run("%git log --all -n 2")
    assert len(log) == 2
    assert log.more
    assert "<svg" in run("%git log --all")._repr_html_()
    assert [row.subject for row in run("%git log topic --path b.py")] == ["on topic"]
    assert run("%git show topic").message == "on topic"


@pytest.mark.usefixtures("repository")
def test_branches_are_listed_made_and_deleted(run):
    assert "topic: made" in run("%git branch topic")
    assert {row.branch for row in run("%git branch")} == {"main", "topic"}
    assert run("%git switch topic").branch == "topic"
    assert run("%git switch main").branch == "main"
    assert "topic: deleted" in run("%git branch topic -d")
    with pytest.raises(NotFoundError, match="no branch 'topic'"):
        run("%git switch topic")


def test_changes_are_put_aside_and_brought_back(run, repository):
    assert "nothing to stash" in run("%git stash")
    (repository / "a.py").write_text("a = 2\n")
    assert "put aside" in run("%git stash push -m later")
    assert len(run("%git stash list")) == 1
    assert run("%git stash pop").changed == ["a.py"]
    with pytest.raises(UsageError, match="no 'lst'"):
        run("%git stash lst")


@pytest.mark.usefixtures("repository")
def test_work_trees_are_added_and_removed(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trees") / "agent"
    assert "checked out" in run(f"%git worktree add {folder} agent/1")
    assert len(run("%git worktree")) == 2
    assert "removed" in run(f"%git worktree rm {folder}")
    with pytest.raises(UsageError, match="needs a folder and a branch"):
        run("%git worktree add")


def test_push_pull_and_fetch_are_of_the_current_branch(run, repository, origin):
    (repository / "b.py").write_text("x")
    run('%git switch -c topic\n%git commit -m "x" b.py')
    assert run("%git push --dry-run")[0].state.startswith("new")
    assert tuple(run("%git push")[0])[:2] == ("topic", "origin/topic")
    other = GitManager(repository.parent).clone(str(origin), origin.parent / "other")
    other.switch("topic")
    (other.path / "c.py").write_text("x")
    other.commit("theirs", paths=["c.py"])
    other.push("origin", "topic")
    assert run("%git fetch").behind == 1
    (repository / "d.py").write_text("x")
    run('%git commit -m "mine" d.py')
    with pytest.raises(NonFastForward):
        run("%git push")
    with pytest.raises(NonFastForward):
        run("%git pull")
    assert run("%git pull --rebase").ahead == 1
    run("%git push")
    assert [row.remote for row in run("%git remote")] == ["origin"]


def test_a_repository_of_the_workspace_is_named(run, repository, origin):
    (repository / "workspace").mkdir()
    made = run(f"%git --repo . clone {origin} app")
    assert made.path == repository / "workspace" / "app"
    assert run("%git --repo app").branch == "main"
    assert run("%git -C app log")[0].subject == "first"
    with pytest.raises(UsageError, match="outside of"):
        run("%git --repo .. status")


def test_a_clone_with_submodules_says_which_are_missing(run, shown, repository, tmp_path_factory):
    up = tmp_path_factory.mktemp("up")
    lib = GitManager(up / "lib")
    lib.initialize()
    lib.commit("lib", allow_empty=True)
    add = ("git", "-c", "protocol.file.allow=always", "submodule", "add", "-q", up / "lib", "lib")
    subprocess.run(add, cwd=repository, check=True)
    run("%git commit -m lib")
    said = shown(f"%git clone {repository} {up}/one")
    assert "1 submodule is not fetched: hub.git.at(" in said
    assert "not fetched" not in shown(f"%git clone {repository} {up}/two --recurse-submodules")
    (repository / "lib" / ".git").unlink()
    assert [row.state for row in run("%git submodules")] == ["not fetched"]
    assert [row.state for row in run("%git submodules fetch")] == ["fetched"]


def test_an_option_of_git_that_the_magic_lacks_is_an_error(run, repository):
    for line in ("%git diff --output=canary", "%git log --exec=x", "%git push --receive-pack=x"):
        with pytest.raises(UsageError, match="has no option"):
            run(line)
    with pytest.raises(UsageError, match="looks like an option"):
        run('%git show "--output=canary"')
    assert not (repository / "canary").exists()


def test_every_verb_has_a_line_of_help_and_runs_nothing_then(shown, shell):
    noun = find(shell).magic("git")
    for verb in noun.grammar.verbs:
        assert f"%git {verb}" in shown(f"%git {verb} --help") or verb == "help"


@pytest.mark.usefixtures("repository")
def test_results_are_tables_where_they_are(run):
    for line in ("%git status", "%git log", "%git branch", "%git remote", "%git worktree"):
        assert isinstance(run(line), Table), line


@pytest.fixture
def conflict(run, repository):
    """Leave it in the middle of a merge."""
    run("%git switch -c topic")
    (repository / "a.py").write_text("a = 'theirs'\n")
    run("%git commit -m theirs a.py\n%git switch main")
    (repository / "a.py").write_text("a = 'ours'\n")
    run("%git commit -m ours a.py")
    return run("%git merge topic")


def test_a_conflict_is_left_without_a_terminal(run, shell, repository, conflict):
    assert conflict.conflicts == {"a.py": "modified by both"}
    assert run("%git").doing == "merge"
    assert offered(shell, "%git resolve --ours ") == ["a.py"]
    assert run("%git conflicts --base").base
    assert run("%git conflicts a.py").paths == ["a.py"]
    assert "ours | a = 'ours'" in repr(run("%git conflicts"))
    assert run("%git show :3:a.py").text == "a = 'theirs'\n"
    for line in ("%git add .", "%git commit -m x --all", "%git resolve a.py"):
        with pytest.raises(RejectedError, match=r"markers are left in a\.py line 1"):
            run(line)
    with pytest.raises(RejectedError, match=r"still in conflict: a\.py"):
        run("%git merge --continue")
    assert "given up; main is at" in run("%git merge --abort")
    run("%git merge topic")
    assert run("%git abort").clean
    assert not run("%git merge topic")
    assert run("%git resolve --theirs a.py").staged == ["a.py"]
    assert "merged: main is at" in run("%git merge --continue -m 'Take theirs'")
    assert run("%git show").message == "Take theirs"
    assert (repository / "a.py").read_text() == "a = 'theirs'\n"
    assert run("%git merge topic").state == "up to date"


@pytest.mark.usefixtures("conflict")
def test_lines_that_say_two_things_are_refused_in_a_conflict(run):
    for line in (
        "%git merge topic --abort",
        "%git merge --continue --abort",
        "%git merge --abort -m x",
        "%git merge",
        "%git resolve",
        "%git restore",
        "%git resolve --parts a.py",
        "%git resolve --ours",
        "%git resolve --ours --theirs a.py",
        "%git resolve --ours --all a.py",
        "%git resolve --ours --force a.py",
        "%git commit --amend a.py",
        "%git commit -m x --force",
        "%git tag -m x",
        "%git tag v1 --delete --force",
        "%git stash list 1",
        "%git stash push 1",
        "%git stash pop one",
        "%git stash -m x list",
    ):
        with pytest.raises(UsageError) as caught:
            run(line)
        assert caught.value.hint, line


def test_changes_are_discarded_and_many_only_if_that_is_said(run, repository):
    (repository / "b.py").write_text("b\n")
    run("%git add\n%git commit -m b")
    assert "nothing to restore" in run("%git restore a.py")
    (repository / "a.py").write_text("changed")
    (repository / "b.py").write_text("changed")
    assert run("%git restore . --dry-run") == "would be restored: a.py, b.py"
    with pytest.raises(UsageError, match="of 2 files would be lost") as caught:
        run("%git restore .")
    assert caught.value.hint == "%git restore --yes ."
    assert run("%git restore a.py") == "restored: a.py"
    assert (repository / "a.py").read_text() == "a = 1\n"
    (repository / "a.py").write_text("changed")
    with pytest.raises(UsageError) as caught:
        run("%git restore --from HEAD -- a.py b.py")
    assert caught.value.hint == "%git restore --yes --from HEAD -- a.py b.py"
    assert run("%git restore *.py --yes") == "restored: a.py, b.py"
    assert run("%git").clean
    assert run("%git restore b.py --from HEAD~1") == "restored: b.py"
    assert not (repository / "b.py").exists()
    with pytest.raises(NotFoundError, match="nothing to restore it from"):
        run("%git restore nosuch.py")


def test_tags_amendments_and_old_versions(run, repository):
    assert "v1: names" in run("%git tag v1")
    (repository / "a.py").write_text("a = 2\n")
    run("%git commit -m second a.py\n%git tag v2 -m 'the second'")
    assert {row.tag: row.annotated for row in run("%git tag")} == {"v1": False, "v2": True}
    assert "v1: deleted" in run("%git tag v1 -d")
    assert run("%git show HEAD~1:a.py").text == "a = 1\n"
    (repository / "new.txt").write_text("x")
    sha = run("%git commit --amend --all")
    assert repr(sha) == f"main {sha[:10]}: second"
    assert "main" in repr(run("%git commit --amend -m better"))
    assert run("%git log")[0].subject == "better"
    assert run("%git show :0:new.txt").text == "x"


def test_stashes_are_shown_applied_and_dropped_by_number(run, repository):
    for text in ("one", "two"):
        (repository / "a.py").write_text(text)
        run(f"%git stash -m {text}")
    assert "+one" in str(run("%git stash show 1"))
    assert run("%git stash apply stash@{1}").changed == ["a.py"]
    assert (repository / "a.py").read_text() == "one"
    assert "stash 1 is forgotten" in run("%git stash drop 1")
    assert len(run("%git stash list")) == 1


# Tab


def offered(shell, text):
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, len(text)))
    words = [text[: completion.start] + completion.text for completion in found]
    return [word[text.rfind(" ") + 1 :] for word in words]


@pytest.mark.usefixtures("repository")
def test_hints_can_be_typed_as_they_are(shown, run):
    assert "(%git remote add origin URL)" in shown("%git push")
    assert "%git remote add origin URL" in repr(run("%git remote"))
    assert "(%git branch, %git log)" in shown("%git log nosuch")
    assert "here it is %git switch BRANCH" in shown("%git checkout main")


@pytest.mark.usefixtures("origin")
def test_tab_offers_branches_remotes_and_changed_paths(run, shell, repository):
    run("%git branch topic")
    (repository / "b.py").write_text("x")
    (repository / "a.py").write_text("x")
    assert offered(shell, "%git switch to") == ["topic"]
    assert offered(shell, "%git push or") == ["origin"]
    assert offered(shell, "%git push origin ma") == ["main"]
    assert offered(shell, "%git add ") == ["a.py", "b.py"]
    assert offered(shell, "%git add a.py b") == ["b.py"]
    assert offered(shell, "%git commit -m x b") == ["b.py"]
    assert offered(shell, "%git diff --with HE") == ["HEAD"]
    verbs = ["apply", "drop", "list", "pop", "push", "show"]
    assert sorted(offered(shell, "%git stash ")) == verbs
    assert offered(shell, "%git restore ") == ["a.py"]
    run("%git tag v1")
    assert offered(shell, "%git tag v") == ["v1"]
    assert offered(shell, "%git merge to") == ["topic"]
    run("%git stash")
    assert offered(shell, "%git stash pop ") == ["0"]
    assert offered(shell, "%git log --path a") == ["a.py"]
    assert "switch" in offered(shell, "%git sw")


def test_tab_says_nothing_where_there_is_no_repository(shell):
    assert not {"main", "HEAD"} & set(offered(shell, "%git switch "))


def test_a_repository_in_another_is_left_out_and_the_cell_says_so(run, repository):
    subprocess.run(["git", "init", "-q", repository / "nested"], check=True)
    (repository / "b.py").write_text("b")
    said = "left out, a repository of its own: nested"
    status = run("%git add")
    assert status.staged == ["b.py"]
    assert said in repr(status)
    assert said in status._repr_html_()
    assert said in repr(run('%git commit -m "all" --all'))
    (repository / "b.py").write_text("c")
    assert said in repr(run('%git commit -m "everything" .'))
    assert said in repr(run("%git commit --all --dry-run"))
    (repository / "b.py").write_text("d")
    assert "left out" not in repr(run('%git commit -m "one" b.py'))


def test_revisions_and_paths_are_taken_as_on_git_s_command_line(run, shell, shown, repository):
    (repository / "b.py").write_text("x")
    run('%git switch -c topic\n%git add -- b.py\n%git commit -m "on topic"')
    (repository / "a.py").write_text("a = 2\n")
    run('%git commit -m "a too" -- a.py')
    shell.user_ns["base"] = "main"
    for line, expected in (
        ("%git diff main topic", ["a.py", "b.py"]),
        ("%git diff main..topic -- b.py", ["b.py"]),
        ("%git diff :base topic a.py", ["a.py"]),
        ("%git diff --with main topic", ["a.py", "b.py"]),
        ("%git diff --with main -- b.py", ["b.py"]),
        ("%git diff main topic -- b* a*", ["a.py", "b.py"]),
        ("%git diff HEAD~1 HEAD", ["a.py"]),
        ("%git diff a.py", []),
    ):
        assert [file.path for file in run(line)] == expected, line
    assert [row.subject for row in run("%git log b.py")] == ["on topic"]
    assert [row.subject for row in run("%git log topic -- a.py")] == ["a too", "first"]
    assert [file.path for file in run("%git show topic~1 -- b.py").diff] == ["b.py"]
    assert "did you mean topic?" in shown("%git diff main topik")
    assert "'typo.py' is no revision, and no path here" in shown("%git diff typo.py")
    assert "there is no path 'nosuch.py'" in shown("%git log --path nosuch.py")
    (repository / "c.py").write_text("x")
    (repository / "d.py").write_text("x")
    assert run("%git add -- c.py").staged == ["c.py"]
    assert run("%git unstage -- c.py").staged == []
    assert "takes nothing behind --" in shown("%git switch main -- c.py")
    assert "no changed file matches *.js" in shown("%git diff main topic -- *.js")


def test_the_hint_of_a_folder_without_a_repository_makes_one_there(run):
    with pytest.raises(NotFoundError) as caught:
        run("%git --repo 'my app' status")
    line = re.search("%git init [^)]*", caught.value.hint).group()
    run(line)
    assert run("%git --repo 'my app' status").branch == "main"
