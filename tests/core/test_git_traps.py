"""Repositories that would run programs: each trap is shown to work on git, and not to on ours."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from agentnb.core.errors import AgentnbError, RejectedError
from agentnb.core.git import GitManager

from .git_den import HOOKS, RECEIVING, everything, touch

# Each trap sets itself, and returns the command of git's that springs it.


def hooks(den):
    den.hooks(den.path / ".git" / "hooks", HOOKS)
    return ["commit", "-q", "--allow-empty", "-m", "x"]


def hooks_elsewhere(den):
    den.hooks(den.path / "tools", HOOKS)
    den.config("core.hooksPath", "tools")
    return ["switch", "-q", "-c", "sprung"]


def monitor(den):
    den.config("core.fsmonitor")
    return ["status"]


def filter_clean(den):
    den.config("filter.evil.clean")
    den.attributes("* filter=evil\n")
    touch(den)
    return ["status"]


def filter_process(den):
    den.config("filter.evil.process")
    den.attributes("* filter=evil\n")
    touch(den)
    return ["diff"]


def filter_smudge(den):
    den.config("filter.evil.smudge")
    den.attributes("* filter=evil\n")
    return ["stash", "push", "-q"]


def filter_called_lfs(den):
    for part in ("clean", "smudge", "process"):
        den.config(f"filter.lfs.{part}")
    den.attributes("* filter=lfs\n")
    touch(den)
    return ["status"]


def filter_called_nbstripout(den):
    den.config("filter.nbstripout.clean")
    den.attributes("* filter=nbstripout\n")
    touch(den)
    return ["status"]


def filter_in_an_included_file(den):
    (den.path / "settings").write_text(f'[filter "evil"]\n\tclean = {den.script}\n')
    den.config("include.path", "../settings")
    den.attributes("* filter=evil\n")
    touch(den)
    return ["status"]


def filter_in_the_settings_of_a_work_tree(den):
    den.config("extensions.worktreeConfig", "true")
    (den.path / ".git" / "config.worktree").write_text(
        f'[filter "evil"]\n\tclean = {den.script}\n[core]\n\tfsmonitor = {den.script}\n'
    )
    den.attributes("* filter=evil\n")
    touch(den)
    return ["status"]


def filter_of_a_strange_name(den):
    den.config("filter.a=b.c d.clean")
    den.attributes("* filter=evil\n")
    text = (den.path / ".git" / "config").read_text().replace("a=b.c d", "evil")
    (den.path / ".git" / "config").write_text(text)
    touch(den)
    return ["add", "."]


def external_diff(den):
    den.config("diff.external")
    touch(den)
    return ["diff"]


def diff_command(den):
    den.config("diff.evil.command")
    den.attributes("* diff=evil\n")
    touch(den)
    return ["diff"]


def text_conversion(den):
    den.config("diff.evil.textconv")
    den.attributes("* diff=evil\n")
    touch(den)
    return ["diff"]


def text_conversion_of_history(den):
    den.config("diff.evil.textconv")
    den.attributes("* diff=evil\n")
    return ["log", "-p"]


def merge_driver(den):
    den.config("merge.evil.driver", f"{den.script} %A")
    den.attributes("* merge=evil\n")
    return _conflict(den)


def merge_driver_by_default(den):
    den.config("merge.evil.driver", f"{den.script} %A")
    den.config("merge.default", "evil")
    return _conflict(den)


def _conflict(den):
    other = den.folder / "other"
    den.git(den.folder, "clone", "-q", str(den.remote), "other")
    (other / "a.txt").write_text("theirs\n")
    den.git(other, "commit", "-q", "-a", "-m", "theirs")
    den.git(other, "push", "-q")
    (den.path / "a.txt").write_text("mine\n")
    den("commit", "-q", "-a", "-m", "mine")
    return ["pull", "-q", "--rebase", "origin", "main"]


def signing(den):
    den.config("gpg.program")
    den.config("commit.gpgSign", "true")
    den.config("user.signingKey", "x")
    return ["commit", "-q", "--allow-empty", "-m", "x"]


def signing_by_ssh(den):
    den.config("gpg.format", "ssh")
    den.config("gpg.ssh.program")
    den.config("user.signingKey", "key::ssh-ed25519 AAAA")
    den.config("commit.gpgSign", "true")
    return ["commit", "-q", "--allow-empty", "-m", "x"]


def signatures_in_the_log(den):
    den.config("gpg.program")
    den.config("commit.gpgSign", "false")
    den.config("log.showSignature", "true")
    raw = den("cat-file", "commit", "HEAD")
    head, _, body = raw.partition("\n\n")
    signed = (
        f"{head}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n -----END PGP SIGNATURE-----\n\n{body}"
    )
    (den.folder / "commit").write_text(signed)
    sha = den("hash-object", "-t", "commit", "-w", "--literally", str(den.folder / "commit"))
    den("update-ref", "HEAD", sha.strip())
    return ["log"]


def ssh_command(den):
    den.config("core.sshCommand", str(den.curt))
    den("remote", "set-url", "origin", "ssh://127.0.0.1:9/x")
    return ["fetch", "-q"]


def upload_pack(den):
    den.config("remote.origin.uploadpack", str(den.curt))
    return ["fetch", "-q"]


def receive_pack(den):
    den.config("remote.origin.receivepack", str(den.curt))
    den("commit", "-q", "--allow-empty", "-m", "x")
    return ["push", "-q"]


def ext_remote(den):
    den("remote", "set-url", "origin", f"ext::{den.curt} %S x")
    den.config("protocol.ext.allow", "always")
    return ["fetch", "-q"]


def ext_by_another_name(den):
    den.config(f"url.ext::{den.curt} x/.insteadOf", str(den.remote))
    den.config("protocol.allow", "always")
    return ["fetch", "-q"]


def git_proxy(den):
    den("remote", "set-url", "origin", "git://127.0.0.1/x")
    den.config("core.gitProxy", str(den.curt))
    return ["fetch", "-q"]


def hooks_of_the_remote(den):
    den.hooks(den.remote / "hooks", RECEIVING)
    den("commit", "-q", "--allow-empty", "-m", "x")
    return ["push", "-q"]


def hooks_of_the_remote_by_its_settings(den):
    den.hooks(den.remote / "tools", RECEIVING)
    den.git(den.remote, "config", "core.hooksPath", str(den.remote / "tools"))
    den("commit", "-q", "--allow-empty", "-m", "x")
    return ["push", "-q"]


def alternate_refs(den):
    den.git(den.folder, "clone", "-q", "--bare", str(den.remote), "alternate.git")
    (den.path / ".git" / "objects" / "info").mkdir(exist_ok=True)
    (den.path / ".git" / "objects" / "info" / "alternates").write_text(
        f"{den.folder / 'alternate.git' / 'objects'}\n"
    )
    den.config("core.alternateRefsCommand")
    other = den.folder / "other"
    den.git(den.folder, "clone", "-q", str(den.remote), "other")
    den.git(other, "commit", "-q", "--allow-empty", "-m", "theirs")
    den.git(other, "push", "-q")
    return ["fetch", "-q"]


def lazy_fetch(den):
    """A partial clone fetches what is missing from the remote when it is looked at."""
    den.git(den.remote, "config", "uploadpack.allowFilter", "true")
    den.git(den.remote, "config", "uploadpack.allowAnySHA1InWant", "true")
    shutil.rmtree(den.path)
    den.git(
        den.folder,
        "clone",
        "-q",
        "--no-checkout",
        "--filter=blob:none",
        den.remote.as_uri(),
        "repo",
    )
    den.config("remote.origin.uploadpack", str(den.curt))
    return ["show", "HEAD:a.txt"]


def credential_helper(den):
    den.config("credential.helper", f"!{den.curt}")
    return _closed_server(den)


def credential_helper_of_a_url(den):
    den.config(f"credential.{den.closed_url}.helper", f"!{den.curt}")
    return _closed_server(den)


def ask_pass(den):
    den.config("core.askPass", str(den.curt))
    return _closed_server(den)


def _closed_server(den):
    den("remote", "set-url", "origin", den.closed_url)
    return ["fetch", "-q"]


def submodule(den):
    inner = den.path / "inner"
    den.git(den.path, "init", "-q", "-b", "main", "inner")
    den.git(inner, "commit", "-q", "--allow-empty", "-m", "x")
    den("add", "inner", check=False)
    (den.path / ".gitmodules").write_text('[submodule "inner"]\n\tpath = inner\n\turl = ./inner\n')
    den("add", ".gitmodules")
    den("commit", "-q", "-m", "with a submodule")
    den.git(inner, "config", "core.fsmonitor", str(den.script))
    den.config("submodule.recurse", "true")
    den.config("submodule.inner.ignore", "none")
    den.config("diff.ignoreSubmodules", "none")
    den.config("diff.submodule", "diff")
    den.config("submodule.inner.update", f"!{den.script}")
    return ["status"]


def aliases_and_editors(den):
    den.config("alias.st", f"!{den.script}")
    den.config("core.editor")
    den.config("sequence.editor")
    den.config("core.pager")
    den.config("pager.log")
    return ["commit", "--allow-empty"]


TRAPS = [
    *(hooks, hooks_elsewhere, monitor, filter_clean, filter_process, filter_smudge),
    *(filter_called_lfs, filter_called_nbstripout, filter_in_an_included_file),
    *(filter_in_the_settings_of_a_work_tree, filter_of_a_strange_name, external_diff),
    *(diff_command, text_conversion, text_conversion_of_history, merge_driver),
    *(merge_driver_by_default, signing, signing_by_ssh, signatures_in_the_log, ssh_command),
    *(upload_pack, receive_pack, ext_remote, ext_by_another_name, git_proxy),
    *(hooks_of_the_remote, hooks_of_the_remote_by_its_settings, alternate_refs, lazy_fetch),
    *(credential_helper, credential_helper_of_a_url, ask_pass, submodule, aliases_and_editors),
]


# Traps that can be set in one repository, for they change no setting of each other, and how many
# steps of the tour are refused there: no more than with each of them alone, so that none keeps
# another from the step that springs it.
TOGETHER = [
    (3, receive_pack, hooks_of_the_remote, external_diff, text_conversion, aliases_and_editors),
    (3, submodule, hooks_of_the_remote_by_its_settings, hooks_elsewhere, diff_command, upload_pack),
    (3, text_conversion_of_history, hooks, monitor, signing),
    (9, credential_helper, credential_helper_of_a_url, ask_pass),
]
ALONE = [trap for trap in TRAPS if not any(trap in traps for _, *traps in TOGETHER)]


@pytest.mark.parametrize("trap", ALONE, ids=lambda trap: trap.__name__)
def test_a_trap_that_springs_on_git_does_not_spring_on_agentnb(den, trap, monkeypatch):
    # Where git would look for a name that no config has: nothing of this machine's own.
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    trap(den)
    den.canary.unlink(missing_ok=True)
    everything(GitManager(den.path, timeout=20))
    assert den.sprung == ""


@pytest.mark.parametrize("row", TOGETHER, ids=lambda row: "-".join(one.__name__ for one in row[1:]))
def test_traps_that_are_set_together_do_not_spring_on_agentnb(den, row, monkeypatch):
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    expected, *traps = row
    for trap in traps:
        trap(den)
    den.canary.unlink(missing_ok=True)
    refused = everything(GitManager(den.path, timeout=20))
    assert den.sprung == ""
    assert refused <= expected


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
def test_the_traps_are_real(den, trap, monkeypatch):
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    command = trap(den)
    den.canary.unlink(missing_ok=True)
    if trap is filter_smudge:
        touch(den)
    den(*command, check=False)
    assert den.sprung != ""


# Filters


def test_nothing_is_stored_without_a_filter_that_may_not_run(den):
    den.config("filter.crypt.clean", "tr a-z n-za-m")
    den.attributes("secret.txt filter=crypt\n")
    (den.path / "secret.txt").write_text("password\n")
    (den.path / "a.txt").write_text("harmless\n")
    git = GitManager(den.path)
    for call in (
        lambda: git.add_files("secret.txt"),
        lambda: git.commit("x", paths=["secret.txt"]),
    ):
        with pytest.raises(RejectedError, match="'crypt'") as caught:
            call()
        assert "AGENTNB_GIT_FILTERS" in caught.value.hint
    assert git.commit("harmless", paths=["a.txt"])
    assert git.status().untracked == ["secret.txt"]


def test_a_filter_that_the_user_allows_by_name_runs(den):
    den.config("filter.crypt.clean", "tr a-z n-za-m")
    den.config("filter.crypt.smudge", "tr a-z n-za-m")
    den.attributes("secret.txt filter=crypt\n")
    (den.path / "secret.txt").write_text("password\n")
    git = GitManager(den.path, filters=["crypt"])
    git.commit("x", paths=["secret.txt"])
    assert den("show", "HEAD:secret.txt") == "cnffjbeq\n"


def test_a_filter_of_the_user_s_own_runs(den, tmp_path, monkeypatch):
    settings = tmp_path / "gitconfig"
    settings.write_text(
        '[user]\nname = Ada\nemail = a@b\n[filter "upper"]\nclean = tr a-z A-Z\nsmudge = cat\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    den.attributes("a.txt filter=upper\n")
    (den.path / "a.txt").write_text("loud\n")
    git = GitManager(den.path)
    git.commit("x", paths=["a.txt"])
    assert den("show", "HEAD:a.txt") == "LOUD\n"


@pytest.mark.parametrize("name", ["lfs", "nbstripout"])
def test_an_allowed_filter_is_the_program_of_that_name(den, name, tmp_path, monkeypatch):
    """Whatever the repository calls by it; here a stand-in says that it ran."""
    program = tmp_path / "bin" / {"lfs": "git-lfs", "nbstripout": "nbstripout"}[name]
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho ran >> {tmp_path / 'ran'}\ncat\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    den.config(f"filter.{name}.clean")
    den.attributes("a.txt filter=" + name + "\n")
    touch(den)
    with contextlib.suppress(AgentnbError):  # the stand-in knows no protocol
        GitManager(den.path).add_files("a.txt")
    assert (tmp_path / "ran").exists()
    assert den.sprung == ""
    (tmp_path / "ran").unlink()
    touch(den)  # else git may know from its index that the file has not changed
    with pytest.raises(RejectedError):
        GitManager(den.path, filters=[]).add_files("a.txt")
    assert not (tmp_path / "ran").exists()


def test_lfs_is_not_run_where_the_repository_gives_it_programs(den):
    den.config("filter.lfs.clean")
    den.config("lfs.extension.evil.clean")
    den.attributes("a.txt filter=lfs\n")
    touch(den)
    with pytest.raises(RejectedError):
        GitManager(den.path).add_files("a.txt")
    assert den.sprung == ""


# What else a repository may try


def test_a_work_tree_elsewhere_is_not_touched(den, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "a.txt").write_text("mine\n")
    den.config("core.worktree", str(home))
    git = GitManager(den.path)
    assert git.root == den.path
    assert git.status().clean
    git.create_branch("x")
    (den.path / "a.txt").write_text("here\n")
    git.stash()
    assert (home / "a.txt").read_text() == "mine\n"
    assert [path.name for path in home.iterdir()] == ["a.txt"]


def test_cookies_are_not_written_where_a_repository_wants_them(den, tmp_path):
    target = tmp_path / "home" / "profile"
    den.config("http.cookieFile", str(target))
    den.config("http.saveCookies", "true")
    den("remote", "set-url", "origin", den.closed_url)
    everything(GitManager(den.path, timeout=20))
    assert not target.exists()


def test_settings_that_cannot_be_read_are_an_error(den):
    (den.path / ".git" / "config").write_text("[core\n")
    with pytest.raises(AgentnbError, match="settings"):
        GitManager(den.path).status()


def test_a_trap_that_is_set_after_the_first_look_is_seen(den):
    git = GitManager(den.path)
    git.status()
    filter_clean(den)
    git.status()
    git.diff()
    assert den.sprung == ""


def test_a_file_in_the_place_of_git_s_folder_is_an_error(tmp_path):
    for number, text in enumerate(("", "gitdir: /nowhere", "x" * 10)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / ".git").write_text(text)
        with pytest.raises(AgentnbError):
            GitManager(folder).status()
        assert not GitManager(folder).is_repository


def test_pipes_and_links_in_a_work_tree_hang_nothing(den, tmp_path):
    (tmp_path / "secret").write_text("secret\n")
    os.mkfifo(den.path / "pipe")
    (den.path / "link").symlink_to(tmp_path / "secret")
    (den.path / "n.ipynb").symlink_to(tmp_path / "secret")
    git = GitManager(den.path, timeout=10)
    with contextlib.suppress(AgentnbError):
        git.add_files()
    git.add_files(["link", "n.ipynb"])
    diff = git.diff(cached=True)
    assert "secret\n" not in diff._repr_html_().replace(str(tmp_path), "")
    git.commit("links", paths=["link", "n.ipynb"])
    Path(den.path / "n.ipynb").unlink()
    os.mkfifo(den.path / "n.ipynb")
    with pytest.raises(RejectedError, match="unsupported file type"):  # it is git's own no
        git.diff()
    assert git.status()
