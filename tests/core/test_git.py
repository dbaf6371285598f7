"""Git on real repositories: staging, commits, branches, history."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest

import agentnb
from agentnb.core.errors import (
    ConfigError,
    DeadlineExceeded,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UsageError,
)
from agentnb.core.git import GitManager


def test_a_folder_becomes_a_repository_and_stays_one(tmp_path):
    git = GitManager(tmp_path / "new" / "app")
    with pytest.raises(NotFoundError, match="in no git repository") as caught:
        git.status()
    assert f"hub.repo('{git.path}').initialize()" in caught.value.hint
    assert git.initialize() == git.path == git.root
    assert git.initialize() == git.path
    assert git.current_branch() == "main"
    assert not git.branches()
    assert not git.log()
    assert repr(git.status()) == "on main, no commits yet\nnothing has changed"


def test_files_are_added_and_committed_as_the_pattern_says(tmp_path, plain_git):
    git = GitManager(tmp_path / "app")
    git.initialize()
    (git.path / "app.py").write_text("answer = 42\n")
    git.add_files()
    sha = git.commit("Initial commit")
    assert plain_git(git.path, "rev-parse", "HEAD").strip() == sha
    assert plain_git(git.path, "log", "--format=%s %an").strip() == "Initial commit Ada"
    assert git.get_status().clean
    assert git.get_current_branch() == "main"


def test_status_tells_what_is_staged_changed_and_unknown(repository):
    path = repository.path
    (path / "a.py").write_text("a = 2\n")
    repository.add_files(["a.py"])
    (path / "a.py").write_text("a = 3\n")
    (path / "notes.txt").rename(path / "renamed.txt")
    repository.add_files(["notes.txt", "renamed.txt"])
    (path / "new dir").mkdir()
    (path / "new dir" / "ü\n.txt").write_text("x")
    status = repository.status(untracked="all")
    assert [tuple(row) for row in status] == [
        ("staged", "modified", "a.py"),
        ("changed", "modified", "a.py"),
        ("staged", "renamed", "notes.txt → renamed.txt"),
        ("untracked", "", "new dir/ü\n.txt"),
    ]
    assert status.staged == ["a.py", "renamed.txt"]
    assert status.changed == ["a.py"]
    assert status.untracked == ["new dir/ü\n.txt"]
    assert repository.status().untracked == ["new dir/"]
    assert "<script" not in status._repr_html_()


def test_paths_are_those_of_the_folder_that_it_is_bound_to(repository):
    (repository.path / "sub").mkdir()
    git = GitManager(repository.path / "sub")
    (git.path / "b.py").write_text("b")
    (repository.path / "a.py").write_text("changed")
    assert git.root == repository.path
    assert git.status(untracked="all").untracked == ["b.py"]
    assert git.status().changed == ["../a.py"]
    assert [file.path for file in git.diff()] == ["../a.py"]
    git.add_files()
    assert git.status().staged == ["b.py"]
    git.add_files("../a.py")
    git.unstage_files("b.py")
    assert git.status().staged == ["../a.py"]


@pytest.mark.parametrize(
    "name", ["-n", "--output=x", "*.py", ":", ":(top)a.py", "a b", "ä", "$(x)"]
)
def test_any_name_of_a_file_is_taken_literally(repository, name):
    (repository.path / name).write_text("x")
    (repository.path / "other").write_text("y")
    repository.add_files([name])
    assert repository.status().staged == [name]
    repository.unstage_files([name])
    assert repository.status().staged == []
    repository.commit("only it", paths=[name])
    assert repository.show().diff[0].path == name
    assert repository.status().untracked == ["other"]
    assert len(repository.log(paths=[name])) == 1


def test_a_pattern_that_would_take_everything_takes_nothing(repository):
    (repository.path / "secret").write_text("x")
    for path in (":/", "*", ":(glob)**", "nothing"):
        with pytest.raises(NotFoundError, match="there is no path"):
            repository.add_files([path])
    assert repository.status().staged == []


def test_paths_out_of_the_repository_are_refused(repository):
    (repository.path.parent / "outside").write_text("x")
    for path in ("../outside", "/etc/hostname"):
        with pytest.raises(UsageError, match="outside repository"):
            repository.add_files([path])


def test_ignored_files_are_not_added(repository):
    (repository.path / ".gitignore").write_text("*.log\n")
    (repository.path / "x.log").write_text("x")
    with pytest.raises(RejectedError, match="ignored"):
        repository.add_files("x.log")
    repository.add_files()
    assert repository.status().staged == [".gitignore"]


# Commits


def test_a_commit_of_paths_takes_these_and_leaves_what_is_staged(repository, plain_git):
    path = repository.path
    (path / "a.py").write_text("staged by the user\n")
    repository.add_files("a.py")
    (path / "a.py").write_text("and changed after that\n")
    (path / "notes.txt").write_text("agent\n")
    (path / "new.txt").write_text("agent\n")
    (path / "gone").mkdir()
    sha = repository.commit("of an agent", paths=["notes.txt", "new.txt"])
    assert sorted(file.path for file in repository.show(sha).diff) == ["new.txt", "notes.txt"]
    assert plain_git(path, "show", ":a.py") == "staged by the user\n"
    assert [tuple(row) for row in repository.status()] == [
        ("staged", "modified", "a.py"),
        ("changed", "modified", "a.py"),
    ]


def test_a_commit_of_paths_takes_deletions_and_folders_with_new_files(repository):
    (repository.path / "notes.txt").unlink()
    (repository.path / "lib").mkdir()
    (repository.path / "lib" / "one.py").write_text("1")
    (repository.path / "other").write_text("x")
    repository.commit("both", paths=["notes.txt", "lib"])
    kinds = {file.path: file.kind for file in repository.show().diff}
    assert kinds == {"notes.txt": "deleted", "lib/one.py": "new"}
    assert repository.status().untracked == ["other"]


def test_a_commit_of_paths_that_fails_leaves_nothing_staged(repository, tmp_path, monkeypatch):
    (repository.path / "new.txt").write_text("x")
    (tmp_path / "nobody").touch()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "nobody"))
    with pytest.raises(ConfigError):
        repository.commit("not me", paths=["new.txt"])
    assert repository.status().untracked == ["new.txt"]
    assert repository.status().staged == []
    assert not list((repository.path / ".git").glob("agentnb-*"))


def test_commits_of_several_agents_follow_each_other(repository, together):
    numbers = iter(range(8))
    for number in range(8):
        (repository.path / f"agent{number}").write_text("x")

    def work():
        name = f"agent{next(numbers)}"
        return repository.commit(name, paths=[name])

    shas, errors = together(8, work)
    assert errors == []
    assert len(set(shas)) == 8
    log = repository.log()
    assert len(log) == 9
    for row in log[:8]:
        assert [file.path for file in repository.show(row.sha).diff] == [row.subject]
    assert repository.status().clean


def test_the_first_commit_may_be_of_paths(tmp_path):
    git = GitManager(tmp_path)
    git.initialize()
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    git.commit("one", paths="one")
    assert git.status().untracked == ["two"]
    git.add_files()
    git.unstage_files("two")
    assert git.status().untracked == ["two"]


def test_files_can_be_unstaged_before_the_first_commit(tmp_path):
    git = GitManager(tmp_path)
    git.initialize()
    (tmp_path / "one").write_text("1")
    git.add_files()
    (tmp_path / "one").write_text("changed after it was staged")
    git.unstage_files()
    assert git.status().untracked == ["one"]
    assert (tmp_path / "one").read_text() == "changed after it was staged"


def test_a_change_in_the_second_of_the_last_commit_is_committed(repository, plain_git):
    file, index = repository.path / "agent", repository.path / ".git" / "index"
    for number in range(10, 30):
        time.sleep(1 - time.time() % 1)  # the seconds in which git counts
        file.write_text(str(number))
        plain_git(repository.path, "add", "agent")
        plain_git(repository.path, "commit", "-qm", "one")
        begun = int(file.stat().st_mtime)
        file.write_text(str(number + 50))
        if begun == int(index.stat().st_mtime) == int(file.stat().st_mtime):
            break
    time.sleep(1 - time.time() % 1)
    assert repository.commit("two", paths=["agent"])
    assert plain_git(repository.path, "show", "HEAD:agent").strip() == str(number + 50)


def test_what_a_user_stages_while_an_agent_commits_is_kept(repository, plain_git):
    for number in range(20):
        (repository.path / f"user{number}").write_text("u")
    (repository.path / "agent").write_text("0")
    stop = threading.Event()
    errors = []

    def user():
        for number in range(20):
            try:
                # As a person's git does: it fails where the other holds the lock, so try again.
                for _ in range(200):
                    done = subprocess.run(
                        ["git", "add", f"user{number}"],
                        cwd=repository.path,
                        capture_output=True,
                        check=False,
                    )
                    if done.returncode == 0:
                        break
                    time.sleep(0.005)
                else:
                    errors.append(done.stderr)
            except OSError as error:
                errors.append(error)
        stop.set()

    thread = threading.Thread(target=user)
    thread.start()
    commits = 0
    while not stop.is_set() or commits < 3:
        commits += 1
        (repository.path / "agent").write_text(str(commits))
        repository.commit(f"agent {commits}", paths=["agent"])
    thread.join()
    assert errors == []
    assert len(repository.status().staged) == 20
    assert plain_git(repository.path, "log", "--format=", "--name-only").split().count("user1") == 0


def test_a_dry_run_tells_what_a_commit_would_take(repository):
    (repository.path / "a.py").write_text("x")
    (repository.path / "new").write_text("x")
    repository.add_files("a.py")
    before = repository.log()[0].sha
    staged = repository.commit("no", dry_run=True)
    assert [tuple(row) for row in staged] == [("modified", "a.py")]
    given = repository.commit("no", paths=["new"], dry_run=True)
    assert [tuple(row) for row in given] == [("new", "new")]
    assert repository.log()[0].sha == before
    assert repository.status().untracked == ["new"]


def test_nothing_to_commit_is_an_error_that_says_what_to_do(repository):
    with pytest.raises(RejectedError, match="nothing to commit") as caught:
        repository.commit("nothing")
    assert "add_files" in caught.value.hint
    assert len(repository.commit("empty", allow_empty=True)) == 40
    with pytest.raises(UsageError, match="message of a commit is empty"):
        repository.commit("  \n")


def test_without_an_identity_the_error_has_the_two_lines_that_set_it(
    tmp_path, monkeypatch, plain_git
):
    nobody = tmp_path / "gitconfig"
    nobody.write_text("")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(nobody))
    monkeypatch.setenv("EMAIL", "")
    git = GitManager(tmp_path / "app")
    git.initialize()
    (git.path / "x").write_text("x")
    git.add_files()
    with pytest.raises(ConfigError) as caught:
        git.commit("who?")
    lines = caught.value.hint.splitlines()
    assert lines[-2].startswith("git config --global user.name ")
    assert lines[-1].startswith("git config --global user.email ")
    for line in lines[-2:]:  # and they work
        subprocess.run(line, shell=True, check=True, cwd=git.path)
    assert git.commit("me")
    assert plain_git(git.path, "log", "--format=%an").strip() == "Your Name"


@pytest.mark.parametrize(
    "message", ["-m", "--amend", "# a heading\n\nbody", "ü" * 90_000, "two\n\nparagraphs"]
)
def test_a_message_arrives_as_it_is(repository, message):
    repository.commit(message, allow_empty=True)
    assert repository.show().message == message
    assert len(repository.log()) == 2


def test_an_author_may_be_somebody_else(repository):
    repository.commit("by bob", allow_empty=True, author="Bob <bob@example.com>")
    assert (repository.show().author, repository.show().email) == ("Bob", "bob@example.com")


def test_protected_branches_take_no_commit_push_or_deletion(repository):
    git = GitManager(repository.path, protected=["main", "release/*"])
    (git.path / "x").write_text("x")
    git.add_files()
    for call in (
        lambda: git.commit("no"),
        lambda: git.commit("no", paths=["x"]),
        git.push,
        lambda: git.push("origin", "release/1"),
        lambda: git.delete_branch("main", force=True),
    ):
        with pytest.raises(ConfigError, match="is protected"):
            call()
    git.create_branch("topic")
    assert git.commit("yes")


# Locks


def test_a_lock_of_another_git_is_waited_for(repository):
    lock = repository.path / ".git" / "index.lock"
    lock.touch()
    (repository.path / "x").write_text("x")
    threading.Timer(0.4, lock.unlink).start()
    repository.add_files("x")
    assert repository.status().staged == ["x"]


@pytest.mark.parametrize("kept", [False, True])
def test_a_lock_of_which_git_says_nothing_is_waited_for_too(repository, kept):
    file, lock = repository.path / "f", repository.path / ".git" / "index.lock"
    file.write_text("1")
    repository.commit("f", paths=["f"])
    file.write_text("2")
    if kept:
        repository.stash()
    lock.touch()
    threading.Timer(0.4, lock.unlink).start()
    if kept:
        repository.stash_pop()
    else:
        assert repository.stash()
    assert (file.read_text(), len(repository.stashes())) == (("2", 0) if kept else ("1", 1))


def test_a_stash_behind_a_lock_that_stays_says_so(repository):
    file, lock = repository.path / "f", repository.path / ".git" / "index.lock"
    file.write_text("1")
    repository.commit("f", paths=["f"])
    file.write_text("2")
    lock.touch()
    with pytest.raises(UnavailableError, match=r"index\.lock exists"):
        GitManager(repository.path, timeout=0.5).stash()
    assert file.read_text() == "2"


def test_a_commit_of_paths_waits_for_the_index_and_holds_it_while_it_commits(
    repository, monkeypatch
):
    from agentnb.core.git import repository as runner

    (repository.path / "x").write_text("x")
    lock, execute, held = repository.path / ".git" / "index.lock", runner.execute, []

    def watched(words, **options):
        held.append((words[0], lock.exists()))
        return execute(words, **options)

    monkeypatch.setattr(runner, "execute", watched)
    lock.touch()
    threading.Timer(0.3, lock.unlink).start()
    sha = repository.commit("x", paths=["x"])
    assert held == [("commit", True), ("add", True), ("commit", True)]  # git did not know it
    (repository.path / "x").write_text("y")
    held.clear()
    repository.commit("y", paths=["x"])
    assert held == [("commit", True)]
    assert (repository.log()[1].sha, repository.status().staged) == (sha, [])
    lock.touch()
    git = GitManager(repository.path, timeout=0.3)
    (repository.path / "x").write_text("z")
    with pytest.raises(UnavailableError, match=r"index\.lock exists"):
        git.commit("z", paths=["x"])
    assert lock.exists()  # which is another's
    lock.unlink()
    with pytest.raises(NotFoundError):
        git.commit("z", paths=["nowhere"])
    assert not lock.exists()


def test_a_branch_that_moves_meanwhile_is_committed_on_where_it_is_then(repository, monkeypatch):
    from agentnb.core.git import repository as runner
    from agentnb.core.git.executor import Output

    execute, moved = runner.execute, []

    def moving(words, **options):
        if words[0] == "commit" and not moved:
            moved.append(words)
            said = "fatal: cannot lock ref 'HEAD': is at 1 but expected 2\n"
            return Output(128, b"", said)
        return execute(words, **options)

    monkeypatch.setattr(runner, "execute", moving)
    (repository.path / "x").write_text("x")
    assert repository.commit("x", paths=["x"]) == repository.log()[0].sha
    assert moved


def test_one_commit_at_a_time_has_the_file_of_the_message(repository):
    from agentnb.core.git import locks

    git = GitManager(repository.path, timeout=0.3)
    (repository.path / "x").write_text("x")
    with locks.alone(repository.path / ".git", 1):
        for options in ({"allow_empty": True}, {"paths": ["x"]}):
            with pytest.raises(UnavailableError, match="another git is at work here"):
                git.commit("message", **options)
    assert git.commit("message", allow_empty=True) == repository.log()[0].sha


def test_a_lock_that_stays_is_an_error_which_names_it(repository):
    lock = repository.path / ".git" / "index.lock"
    lock.touch()
    (repository.path / "x").write_text("x")
    git = GitManager(repository.path, timeout=0.5)
    with pytest.raises(UnavailableError, match=r"index\.lock exists") as caught:
        git.add_files("x")
    assert "remove that file" in caught.value.hint
    assert git.status().untracked == ["x"]  # a look needs no lock


# Branches, stashes, work trees


def test_branches_are_made_switched_to_and_deleted(repository):
    repository.create_branch("topic/one")
    assert repository.current_branch() == "topic/one"
    repository.commit("on it", allow_empty=True)
    repository.create_branch("other", "main", switch=False)
    repository.switch("main")
    found = {row.branch: row.current for row in repository.branches()}
    assert found == {"main": True, "topic/one": False, "other": False}
    repository.delete_branch("other")
    with pytest.raises(RejectedError, match="not fully merged"):
        repository.delete_branch("topic/one")
    repository.delete_branch("topic/one", force=True)
    assert [row.branch for row in repository.branches()] == ["main"]
    with pytest.raises(RejectedError, match="already exists"):
        repository.create_branch("main")


def test_a_branch_that_is_not_there_has_a_hint(repository):
    with pytest.raises(NotFoundError, match="no branch 'mian'") as caught:
        repository.switch("mian")
    assert "main" in caught.value.hint
    with pytest.raises(NotFoundError):
        repository.create_branch("x", "nowhere")


def test_a_switch_that_would_lose_changes_is_refused(repository):
    repository.create_branch("topic")
    (repository.path / "a.py").write_text("topic\n")
    repository.commit("topic", paths=["a.py"])
    (repository.path / "a.py").write_text("not committed\n")
    with pytest.raises(RejectedError, match="overwritten") as caught:
        repository.switch("main")
    assert "stash" in caught.value.hint
    assert (repository.path / "a.py").read_text() == "not committed\n"
    assert repository.stash("later")
    repository.switch("main")
    repository.switch("topic")
    assert repository.stashes()[0].what.endswith("later")
    repository.stash_pop()
    assert (repository.path / "a.py").read_text() == "not committed\n"
    assert not repository.stashes()
    with pytest.raises(NotFoundError, match="nothing is stashed"):
        repository.stash_pop()


def test_nothing_to_stash_is_told(repository):
    assert repository.stash() is False


def test_a_work_tree_of_its_own_for_an_agent(repository):
    tree = repository.worktree("../agent", "agent/1")
    (tree.path / "b.py").write_text("b")
    tree.commit("by the agent", paths=["b.py"])
    assert not (repository.path / "b.py").exists()
    assert tree.current_branch() == "agent/1"
    assert repository.status().clean
    assert [row.branch for row in repository.worktrees()] == ["main", "agent/1"]
    (tree.path / "c.py").write_text("c")
    with pytest.raises(RejectedError, match="modified or untracked"):
        repository.remove_worktree("../agent")
    repository.remove_worktree("../agent", force=True)
    assert not tree.path.exists()
    assert "agent/1" in repository.names()


# History


def test_a_log_has_every_field_and_the_graph_of_a_merge(repository, plain_git):
    repository.create_branch("topic")
    repository.commit("on topic", allow_empty=True)
    repository.switch("main")
    repository.commit("on main", allow_empty=True)
    plain_git(repository.path, "merge", "--no-edit", "topic")
    plain_git(repository.path, "tag", "v1")
    log = repository.log()
    assert [len(row.parents.split()) for row in log] == [2, 1, 1, 0]
    assert log[0].author == "Ada"
    assert set(log[0].refs.split(", ")) == {"HEAD -> main", "tag: v1"}
    assert log.graph()[0].merge
    assert log.svg().count("<circle") == 4
    assert repository.log(2).more
    assert not log.more
    assert [row.subject for row in repository.log(revision="main..topic")] == []
    assert len(repository.show().parents) == 2
    assert "<img" not in log._repr_html_()


def test_revisions_that_are_not_there_are_not_found(repository):
    for call in (
        lambda: repository.log(revision="nowhere"),
        lambda: repository.show("nowhere"),
        lambda: repository.diff(between="nowhere"),
        lambda: repository.diff(between=("main", "nowhere")),
    ):
        with pytest.raises(NotFoundError):
            call()


@pytest.mark.parametrize("word", ["--output=canary", "-O/x", "", "a\nb", "a\0b"])
def test_words_that_look_like_options_are_refused(repository, word):
    for call in (
        repository.create_branch,
        repository.switch,
        repository.delete_branch,
        repository.show,
        repository.clone,
        repository.fetch,
        repository.pull,
        lambda word: repository.push("origin", word),
        repository.push,
        lambda word: repository.add_remote(word, "https://host/x"),
        lambda word: repository.add_remote("new", word),
        lambda word: repository.log(revision=word or "-"),
        lambda word: repository.diff(between=word or "-"),
        lambda word: repository.worktree("../x", word),
        lambda word: repository.create_branch("x", word),
        lambda word: repository.initialize(word or "-"),
    ):
        with pytest.raises(UsageError):
            call(word)
    assert not (repository.path / "canary").exists()
    assert [row.branch for row in repository.branches()] == ["main"]


@pytest.mark.parametrize(
    "name", ["a b", "a..b", "a~1", "a:b", ".a", "a.lock", "/a", "a/", "@", "HEAD", "a\\b", "x@{1}"]
)
def test_names_that_no_branch_can_have_are_refused(repository, name):
    with pytest.raises(UsageError, match="not the name of a branch"):
        repository.create_branch(name)


# The hub


def test_the_hub_knows_the_working_directory_s_repository(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(repository.path)
    with agentnb.connect(home=tmp_path / "home", workspace=tmp_path / "workspace") as hub:
        assert hub.git.root == repository.path
        assert hub.git is hub.git
        assert hub.health()[0][:3] == ("git", "program", "ok")
        monkeypatch.chdir(tmp_path)
        assert hub.git.path == tmp_path
        assert any(span.service == "git" for span in hub.tracer.recent())


def test_a_repository_of_the_workspace_is_found_no_higher_than_that(tmp_path, plain_git):
    plain_git(tmp_path, "init", "-q")
    (tmp_path / "ws" / "app").mkdir(parents=True)
    with agentnb.connect(home=tmp_path / "home", workspace=tmp_path / "ws") as hub:
        assert not hub.repo("app").is_repository
        hub.repo("app").initialize()
        assert hub.repo("app").root == tmp_path / "ws" / "app"
        for path in ("..", "../..", "/etc", "app/../../x"):
            with pytest.raises(UsageError, match="outside of"):
                hub.repo(path)
        (tmp_path / "ws" / "link").symlink_to(tmp_path)
        with pytest.raises(UsageError, match="outside of"):
            hub.repo("link")
        for target in ("../../out", "/tmp/out"):
            with pytest.raises(UsageError, match="outside of"):
                hub.repo("app").clone(str(tmp_path / "ws" / "app"), target)
        (tmp_path / "ws" / "pointer").mkdir()
        (tmp_path / "ws" / "pointer" / ".git").write_text(f"gitdir: {tmp_path / '.git'}\n")
        with pytest.raises(ConfigError, match="lies elsewhere"):
            hub.repo("pointer").status()
        (tmp_path / "ws" / "linked").mkdir()
        (tmp_path / "ws" / "linked" / ".git").symlink_to(tmp_path / ".git")
        with pytest.raises(ConfigError, match="lies elsewhere"):
            hub.repo("linked").status()


def test_settings_reach_the_manager(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTNB_GIT_PROTECTED", "main, release/*")
    monkeypatch.setenv("AGENTNB_GIT_TIMEOUT", "5")
    monkeypatch.setenv("AGENTNB_GIT_FILTERS", "lfs")
    with agentnb.connect(home=tmp_path / "home") as hub:
        assert hub.git.protected == ("main", "release/*")
        assert hub.git.timeout == 5
        assert hub.git.filters == ("lfs",)


def test_credentials_that_cannot_be_understood_are_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTNB_GIT_CREDENTIALS", "hunter22hunter22")
    with agentnb.connect(home=tmp_path / "home") as hub:
        with pytest.raises(ConfigError, match="cannot be understood") as caught:
            _ = hub.git
        assert "hunter22" not in str(caught.value) + str(caught.value.hint)


def test_without_git_the_error_says_how_to_get_it(tmp_path):
    code = (
        "from agentnb.core.errors import UnavailableError\n"
        "from agentnb.core.git import GitManager\n"
        f"try: GitManager({str(tmp_path)!r}).initialize()\n"
        "except UnavailableError as error: print(error.hint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "apt-get install git" in done.stdout


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_a_repository_of_somebody_else_s_is_git_s_to_judge(repository, tmp_path, monkeypatch):
    for path in (repository.path, *repository.path.rglob("*")):
        os.chown(path, 12345, 12345)
    with pytest.raises(ConfigError, match="dubious ownership") as caught:
        repository.status()
    assert "safe.directory" in caught.value.hint
    settings = tmp_path / "gitconfig"
    settings.write_text(f"[safe]\ndirectory = {repository.path}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    assert repository.status().clean


def test_what_the_environment_says_of_another_repository_is_ignored(
    repository, tmp_path, monkeypatch
):
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.fsmonitor=touch canary'")
    assert repository.status().clean
    assert repository.clone(str(repository.path), "copy").log()[0].subject == "first"
    assert not (tmp_path / "elsewhere").exists()


# Notebooks


def notebook(*sources, outputs=()):
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "execution_count": number,
            "source": source.splitlines(keepends=True),
            "outputs": list(outputs),
        }
        for number, source in enumerate(sources)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})


def test_notebooks_are_compared_by_cells(repository):
    path = repository.path / "n.ipynb"
    path.write_text(notebook("a = 1", "b = 2\nprint(b)", "c = 3"))
    repository.commit("a notebook", paths=["n.ipynb"])
    path.write_text(notebook("a = 1", "b = 2\nprint(a, b)", "new = 4"))
    diff = repository.diff()
    assert next((cell.kind, cell.number) for cell in diff[0].cells()) == ("changed", 2)
    shown = repr(diff)
    assert "+print(a, b)" in shown
    assert "execution_count" not in shown
    assert "execution_count" not in diff._repr_html_()
    assert "execution_count" in str(diff)  # the patch is git's


def test_outputs_that_differ_are_told_and_counts_are_not(repository):
    path = repository.path / "n.ipynb"
    path.write_text(notebook("a = 1"))
    repository.commit("a notebook", paths=["n.ipynb"])
    path.write_text(notebook("a = 1").replace('"execution_count": 0', '"execution_count": 7'))
    assert repository.diff()[0].cells() == []
    output = {"output_type": "stream", "name": "stdout", "text": "x" * 10**6}
    path.write_text(notebook("a = 1", outputs=[output]))
    assert [cell.kind for cell in repository.diff()[0].cells()] == ["outputs"]
    assert len(repository.diff()._repr_html_()) < 3000


def test_what_is_no_notebook_after_all_is_compared_as_text(repository):
    path = repository.path / "n.ipynb"
    path.write_text("not json\n")
    repository.commit("x", paths=["n.ipynb"])
    path.write_text("not json either\n")
    diff = repository.diff()
    assert diff[0].cells() is None
    assert "+not json either" in repr(diff)
    (repository.path / "n.ipynb").unlink()
    assert "-not json" in repr(repository.diff())


def test_a_new_notebook_shows_its_cells(repository):
    (repository.path / "n.ipynb").write_text(notebook("a = 1", "b = 2"))
    repository.add_files()
    assert [cell.kind for cell in repository.diff(cached=True)[0].cells()] == ["added", "added"]


def test_the_package_that_compares_notebooks_is_not_imported_before_it_is_needed(repository):
    (repository.path / "n.ipynb").write_text(notebook("a = 1"))
    repository.commit("a notebook", paths=["n.ipynb"])
    (repository.path / "n.ipynb").write_text(notebook("a = 2"))
    code = (
        "import sys; from agentnb.core.git import GitManager\n"
        f"git = GitManager({str(repository.path)!r}); git.add_files(); d = git.diff(True)\n"
        "assert len(d) == 1 and not {'nbdime', 'nbformat'} & set(sys.modules), 'imported'\n"
        "d[0].cells(); assert 'nbdime' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_command_that_says_nothing_more_and_stays_is_ended_in_its_time(repository):
    from agentnb.core.git.executor import execute

    words = ["-c", "alias.stay=!exec >&- 2>&-; sleep 30", "stay"]
    with pytest.raises(DeadlineExceeded):
        execute(words, cwd=repository.path, env={}, seconds=0.5)
