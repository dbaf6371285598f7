"""Git with others: folders, a real HTTP server with a password, ssh that refuses, deadlines."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

import agentnb
from agentnb.core.errors import (
    ConfigError,
    DeadlineExceeded,
    NonFastForward,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UsageError,
)
from agentnb.core.git import GitManager
from agentnb.core.git.credentials import logins
from agentnb.core.git.executor import _read
from tests.listening import Listener

from .git_http import PASSWORD, QUOTED, USER, GitHttp


@pytest.fixture
def origin(tmp_path, repository, plain_git):
    """Return a bare repository with the first commit, which the others share."""
    plain_git(tmp_path, "clone", "-q", "--bare", str(repository.path), "served/origin.git")
    plain_git(tmp_path / "served" / "origin.git", "config", "http.receivepack", "true")
    return tmp_path / "served" / "origin.git"


@pytest.fixture
def ssh(require):
    require("ssh", shutil.which("ssh") is not None, "there is no ssh on PATH")


@pytest.fixture
def two(tmp_path, origin):
    """Return two clones of it."""
    base = GitManager(tmp_path)
    return base.clone(origin.as_uri(), "one"), base.clone(str(origin), "two")


@pytest.fixture
def http(tmp_path, origin):  # noqa: ARG001 - it is what is served
    server = GitHttp(tmp_path / "served")
    yield server
    server.stop()


def write_and_commit(git, name, text="x\n"):
    (git.path / name).write_text(text)
    return git.commit(name, paths=[name])


def left_over(folder):
    return [path.name for path in Path(folder).iterdir() if "cloning" in path.name]


# Folders


def test_a_protected_branch_takes_no_rebase_and_a_detached_head_does(two, plain_git):
    one, _ = two
    guarded = GitManager(one.path, protected=["main"])
    with pytest.raises(ConfigError, match="main is protected: no rebase"):
        guarded.pull(rebase=True)
    plain_git(one.path, "switch", "--quiet", "--detach")
    assert guarded.pull(branch="main", rebase=True) == guarded.log()[0].sha


def test_what_one_pushes_the_other_pulls(two):
    one, other = two
    sha = write_and_commit(one, "b.py")
    assert one.status().ahead == 1
    assert [tuple(row)[:2] for row in one.push()] == [("main", "origin/main")]
    assert one.status().ahead == 0
    other.fetch()
    assert other.status().behind == 1
    assert other.pull() == sha
    assert (other.path / "b.py").exists()
    assert other.push()[0].state.startswith("up to date")


def test_a_push_that_is_rejected_says_what_to_do(two):
    one, other = two
    write_and_commit(one, "b.py")
    one.push()
    mine = write_and_commit(other, "c.py")
    with pytest.raises(NonFastForward, match="commits that are missing here") as caught:
        other.push()
    assert "pull('origin', 'main')" in caught.value.hint
    with pytest.raises(NonFastForward) as caught:
        other.pull()
    assert "rebase=True" in caught.value.hint
    assert other.log()[0].sha == mine
    other.pull(rebase=True)
    assert [row.subject for row in other.log()] == ["c.py", "b.py", "first"]
    other.push()


def test_a_rebase_with_conflicts_is_given_up(two):
    one, other = two
    write_and_commit(one, "a.py", "theirs\n")
    one.push()
    mine = write_and_commit(other, "a.py", "mine\n")
    with pytest.raises(RejectedError, match=r"same lines: a\.py"):
        other.pull(rebase=True)
    assert other.log()[0].sha == mine
    assert other.status().doing == ""
    assert (other.path / "a.py").read_text() == "mine\n"


def test_a_forced_push_replaces_only_what_was_seen(two):
    one, other = two
    write_and_commit(one, "b.py")
    one.push()
    mine = write_and_commit(other, "c.py")
    with pytest.raises(NonFastForward, match="has changed since it was fetched"):
        other.push(force=True)
    other.fetch()
    assert other.push(force=True)[0].state.startswith("forced")
    one.fetch()
    assert one.log(revision="origin/main")[0].sha == mine


def test_a_dry_run_pushes_nothing(two, origin, plain_git):
    one, _ = two
    one.create_branch("topic")
    table = one.push("origin", "topic", dry_run=True)
    assert table[0].state.startswith("new")
    assert "dry run" in table.note
    assert plain_git(origin, "branch", "--list", "topic") == ""
    one.push("origin", "topic")
    assert one.status().upstream == "origin/topic"


def test_changes_in_the_way_of_a_pull_are_named(two):
    one, other = two
    write_and_commit(one, "a.py", "theirs\n")
    one.push()
    (other.path / "a.py").write_text("not committed\n")
    with pytest.raises(RejectedError, match=r"a\.py") as caught:
        other.pull()
    assert "stash" in caught.value.hint
    assert (other.path / "a.py").read_text() == "not committed\n"


def test_names_that_are_not_there_have_a_hint(two):
    one, _ = two
    with pytest.raises(NotFoundError, match="no remote 'orgin'") as caught:
        one.push("orgin")
    assert "origin" in caught.value.hint
    with pytest.raises(NotFoundError, match="no branch 'mian'") as caught:
        one.push("origin", "mian")
    assert "main" in caught.value.hint
    with pytest.raises(NotFoundError):
        one.pull("origin", "nowhere")


def test_a_server_s_own_no_is_told_with_its_words(two, origin, plain_git):
    plain_git(origin, "config", "receive.denyDeletes", "true")
    plain_git(origin, "config", "receive.denyNonFastForwards", "true")
    one, _ = two
    write_and_commit(one, "b.py")
    one.push()
    plain_git(one.path, "reset", "-q", "--hard", "HEAD~1")
    write_and_commit(one, "c.py")
    with pytest.raises(RejectedError, match="refuses main"):
        one.push(force=True)


def test_remotes_are_added_and_removed(repository, origin):
    assert not repository.remotes()
    repository.add_remote("origin", str(origin))
    repository.add_remote("up", "https://host/app.git")
    found = {row.remote: row.url for row in repository.remotes()}
    assert found == {"origin": str(origin), "up": "https://host/app.git"}
    with pytest.raises(RejectedError, match="already exists"):
        repository.add_remote("up", "https://host/app.git")
    repository.remove_remote("up")
    repository.push()
    assert repository.status().upstream == "origin/main"


# Clones


def test_a_clone_that_fails_leaves_nothing_behind(tmp_path):
    git = GitManager(tmp_path)
    with pytest.raises(NotFoundError):
        git.clone(str(tmp_path / "nowhere"), "deep/down/app")
    assert list(tmp_path.iterdir()) == []


def test_a_clone_goes_into_an_empty_folder_and_into_no_other(tmp_path, origin):
    git = GitManager(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("mine")
    assert git.clone(str(origin), "empty").log()
    with pytest.raises(RejectedError, match="is there already"):
        git.clone(str(origin), "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["x"]
    assert git.clone(str(origin)).path.name == "origin"


def test_a_clone_may_be_of_one_branch_and_shallow(tmp_path, two, origin):
    one, _ = two
    one.create_branch("topic")
    write_and_commit(one, "b.py")
    one.push("origin", "topic")
    said = []
    clone = GitManager(tmp_path).clone(
        origin.as_uri(), "shallow", branch="topic", depth=1, progress=said.append
    )
    assert clone.current_branch() == "topic"
    assert len(clone.log()) == 1
    assert any("Receiving objects" in line for line in said)


def test_each_line_of_progress_is_told_once_however_it_arrives():
    script = "printf 'one\\rtw' >&2; sleep 0.2; printf 'o\\r\\nthree\\rfour' >&2"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = []
    _read(process, time.monotonic() + 10, said.append)
    process.wait()
    process.stdout.close()
    process.stderr.close()
    assert said == ["one", "two", "three", "four"]


# HTTP


def test_the_right_password_works_and_is_stored_nowhere(tmp_path, http, caplog):
    caplog.set_level(logging.DEBUG)
    clone = GitManager(tmp_path).clone(http.url("origin.git", f"{USER}:{QUOTED}"), "app")
    assert clone.remotes()[0].url == http.url("origin.git")
    for path in (clone.path / ".git").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert QUOTED.encode() not in data
            assert PASSWORD.encode() not in data
    assert QUOTED not in caplog.text
    assert PASSWORD not in caplog.text
    with pytest.raises(ConfigError, match="git fetch") as caught:  # it was for one call
        clone.fetch()
    assert "AGENTNB_GIT_CREDENTIALS" in caught.value.hint


@pytest.mark.parametrize("login", ["", f"{USER}:wrong-one", "a-token-alone", f"{USER}:"])
def test_a_wrong_password_is_an_error_at_once_and_never_shown(tmp_path, http, login, caplog):
    caplog.set_level(logging.DEBUG)
    began = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        GitManager(tmp_path).clone(http.url("origin.git", login), "app")
    assert time.monotonic() - began < 20
    said = f"{caught.value} {caught.value.hint} {caught.value.__cause__} {caplog.text}"
    for secret in ("wrong-one", "a-token-alone"):
        assert secret not in said
    assert not (tmp_path / "app").exists()
    assert left_over(tmp_path) == []


def test_the_settings_logins_are_used_for_their_server_only(tmp_path, http, monkeypatch):
    monkeypatch.setenv("AGENTNB_GIT_CREDENTIALS", http.url("", f"{USER}:{QUOTED}"))
    with agentnb.connect(home=tmp_path / "home", workspace=tmp_path / "ws") as hub:
        (tmp_path / "ws").mkdir()
        clone = hub.repo().clone(http.url("origin.git"), "app")
        write_and_commit(clone, "b.py")
        assert clone.push()[0].state.startswith("updated")
        assert clone.pull() == clone.log()[0].sha
        assert "hunt" not in repr(hub.settings.table()) + repr(clone.remotes())
        assert hub.settings.redactor(f"said {PASSWORD}") == "said ••••••"


def test_no_helper_of_the_user_receives_a_login_of_agentnb(tmp_path, http, plain_git, monkeypatch):
    store = tmp_path / "stored"
    helper = f'!f() {{ echo "$1" >> {shlex.quote(str(store))}; }}; f'
    settings = tmp_path / "gitconfig"
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    plain_git(tmp_path, "config", "--file", str(settings), "credential.helper", helper)
    git = GitManager(tmp_path, logins=logins([http.url("", f"{USER}:{QUOTED}")]))
    git.clone(http.url("origin.git"), "app")
    assert not store.exists()


def test_a_login_is_not_given_to_whom_the_repository_chooses(tmp_path, http, plain_git):
    git = GitManager(tmp_path, logins=logins([http.url("", f"{USER}:{QUOTED}")]))
    clone = git.clone(http.url("origin.git"), "app")
    assert clone.fetch() is None
    plain_git(clone.path, "config", "http.proxy", f"http://127.0.0.1:{http.port}")
    http.asked.clear()
    with pytest.raises(ConfigError):
        clone.fetch()
    assert http.asked
    assert not any(http.asked)


def test_the_user_s_own_helper_is_asked(tmp_path, http, plain_git, monkeypatch):
    settings = tmp_path / "gitconfig"
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    helper = f"!f() {{ echo username={USER}; echo 'password={PASSWORD}'; }}; f"
    plain_git(tmp_path, "config", "--file", str(settings), "credential.helper", helper)
    assert GitManager(tmp_path).clone(http.url("origin.git"), "app").log()


def test_a_remote_with_a_login_of_old_is_shown_without_it(repository, plain_git):
    for number, login in enumerate(("ada:hunter22", "ghp-hunter22", "a:b@hunter22")):
        plain_git(repository.path, "remote", "add", f"r{number}", f"https://{login}@127.0.0.1:9/x")
    assert "hunter22" not in repr(repository.remotes()) + repository.remotes()._repr_html_()
    for number in range(3):
        with pytest.raises(UnavailableError) as caught:
            repository.fetch(f"r{number}")
        assert "hunter22" not in f"{caught.value} {caught.value.hint}"


def test_a_clone_that_fails_says_why_and_not_where_it_began(repository):
    with pytest.raises(UnavailableError, match="git clone: unable to access"):
        repository.clone("https://127.0.0.1:9/x", "y")


def test_a_login_is_not_put_into_a_remote(repository):
    for url in ("https://ada:hunter22@host/x", "https://token@host/x"):
        with pytest.raises(UsageError, match="would be stored") as caught:
            repository.add_remote("origin", url)
        assert "hunter22" not in str(caught.value)
    assert not repository.remotes()


def test_what_the_server_does_not_have_is_not_found(tmp_path, http):
    http.open_to_all()
    with pytest.raises(NotFoundError):
        GitManager(tmp_path).clone(http.url("nowhere.git"), "app")
    assert not (tmp_path / "app").exists()


@pytest.mark.usefixtures("ssh")
def test_no_server_is_unavailable(tmp_path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        for url in (f"http://127.0.0.1:{port}/x", f"ssh://git@127.0.0.1:{port}/x"):
            with pytest.raises(UnavailableError):
                GitManager(tmp_path).clone(url, "app")
    assert left_over(tmp_path) == []


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% canary",
        "ext::touch canary",
        "fd::17",
        "evil::https://host",
        "git://host/x",
        "ftp://host/x",
        "gopher://host/x",
        "--upload-pack=touch canary",
        "-u",
        "ssh://-oProxyCommand=touch canary/x",
        "https://-x/y",
        "",
        "a\nb",
    ],
)
def test_urls_that_could_run_something_are_refused(tmp_path, url):
    git = GitManager(tmp_path)
    with pytest.raises(UsageError):
        git.clone(url, "app")
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_looks_like_an_option_of_ssh_is_refused(tmp_path):
    canary = tmp_path / "canary"
    for url in (f"-oProxyCommand=touch${{IFS}}{canary}:x", f"x@-oProxyCommand=touch {canary}:x"):
        with pytest.raises((UsageError, RejectedError, UnavailableError, NotFoundError)):
            GitManager(tmp_path).clone(url, "app")
    assert not canary.exists()


# ssh


@pytest.fixture
def asking_ssh(tmp_path, monkeypatch):
    """Put an ssh first that asks on the terminal unless it was told not to, as the real one."""
    log = tmp_path / "ssh.log"
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {log}\n'
        'case "$*" in *BatchMode=yes*)\n'
        '  echo "git@host: Permission denied (publickey)." >&2; exit 255;; esac\n'
        "cat < /dev/tty\nsleep 60\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return log


def test_ssh_asks_nobody_and_says_what_to_do(tmp_path, asking_ssh):
    with pytest.raises(ConfigError, match="Permission denied") as caught:
        GitManager(tmp_path).clone("git@host:app.git", "app")
    assert "ssh-add" in caught.value.hint
    assert "BatchMode=yes" in asking_ssh.read_text()


# Deadlines


@pytest.fixture
def silent_server():
    """Return the port of a server that takes connections and says nothing."""
    with Listener() as server:
        yield server.port


def processes_with(word):
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if word.encode() in line and int(folder.name) != os.getpid():
            found.append(line)
    return found


@pytest.mark.usefixtures("ssh")
@pytest.mark.parametrize("scheme", ["http", "ssh"])
def test_a_deadline_ends_the_whole_tree_and_leaves_nothing(tmp_path, silent_server, scheme):
    began = time.monotonic()
    word = f"{scheme}-hangs-{silent_server}"
    with pytest.raises(DeadlineExceeded, match=r"longer than 0\.7 s"):
        GitManager(tmp_path).clone(
            f"{scheme}://127.0.0.1:{silent_server}/{word}", "app", timeout=0.7
        )
    assert time.monotonic() - began < 15
    assert processes_with(word) == []
    assert list(tmp_path.iterdir()) == []


def test_what_ignores_a_polite_end_is_ended(tmp_path, repository, monkeypatch):
    program = tmp_path / "stubborn"
    program.write_text("#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 0.1; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(program))
    with pytest.raises(DeadlineExceeded):
        repository.at("..").clone("git@host:x", "app", timeout=0.5)
    for _ in range(100):
        if not processes_with(str(program)):
            break
        time.sleep(0.02)
    assert processes_with(str(program)) == []
    assert not (tmp_path / "app").exists()


def test_a_deadline_leaves_no_lock(repository, tmp_path, monkeypatch):
    # A clean filter of the user's own, which is trusted, and never comes to an end.
    settings = tmp_path / "gitconfig"
    settings.write_text(
        '[user]\nname = Ada\nemail = a@b\n[filter "slow"]\nclean = sleep 60\nrequired = true\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    (repository.path / ".gitattributes").write_text("slow.txt filter=slow\n")
    (repository.path / "slow.txt").write_text("x")
    with pytest.raises(DeadlineExceeded):
        GitManager(repository.path, timeout=0.5).add_files("slow.txt")
    assert not (repository.path / ".git" / "index.lock").exists()
    repository.add_files(".gitattributes")


def test_an_interrupt_ends_git_too(tmp_path, silent_server):
    import signal
    import sys

    word = f"interrupted-{silent_server}"
    code = (
        "from agentnb.core.git import GitManager\n"
        f"print('go', flush=True)\n"
        f"GitManager({str(tmp_path)!r}).clone('http://127.0.0.1:{silent_server}/{word}', 'app')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    until = time.monotonic() + 30
    # Ourselves, git, and what it talks through: by then git is known to whoever would end it.
    while len(processes_with(word)) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in err
    assert processes_with(word) == []
    assert list(tmp_path.iterdir()) == []


def test_a_deadline_is_a_time(tmp_path):
    with pytest.raises(UsageError):
        GitManager(tmp_path, timeout=0)
    with pytest.raises(UsageError):
        GitManager(tmp_path).clone("https://host/x", timeout=-1)
