"""Every setting of a repository that is overridden, and every one that costs it a login."""

from __future__ import annotations

import os
import subprocess

import pytest

from agentnb.core.git import hardening
from agentnb.core.git.config import Config, Entry
from agentnb.core.git.credentials import logins

LOGINS = logins(["https://ada:hunter22@example.com", "http://ada:hunter33@example.com"])
CERTIFICATES = ("sslcainfo", "sslcapath")
PROXIES = ("proxy", "curloptresolve")
# What can run a program, ask a server for one, or speak another way than is read.
OVERRIDDEN = {
    "commit.gpgSign": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.pager": "cat",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "diff.ignoreSubmodules": "dirty",
    "diff.submodule": "short",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "gc.autoDetach": "false",
    "gpg.openpgp.program": "false",
    "gpg.program": "false",
    "gpg.ssh.defaultKeyCommand": "",
    "gpg.ssh.program": "false",
    "gpg.x509.program": "false",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "merge.verifySignatures": "false",
    "merge.renames": "true",
    "merge.directoryRenames": "conflict",
    "merge.renormalize": "false",
    "merge.autoStash": "false",
    "rebase.autoStash": "false",
    "rebase.updateRefs": "false",
    "rebase.rebaseMerges": "false",
    "rerere.enabled": "false",
    "push.gpgSign": "false",
    "push.recurseSubmodules": "no",
    "status.submoduleSummary": "false",
    "submodule.recurse": "false",
    "tag.gpgSign": "false",
    "user.useConfigOnly": "true",
}
SPEAKING = {
    "GCM_INTERACTIVE": "never",
    "GIT_ASKPASS": "",
    "GIT_EDITOR": ":",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_MERGE_AUTOEDIT": "no",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_SEQUENCE_EDITOR": ":",
    "GIT_TERMINAL_PROMPT": "0",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
}


def entry(key, value="evil", scope="local"):
    section, _, rest = key.partition(".")
    subsection, _, name = rest.rpartition(".")
    return Entry(scope, section, subsection, name.lower(), value)


def environment(*entries, writes=False, filters=()):
    return hardening.environment(
        Config(list(entries)), filters=filters, logins=LOGINS, writes=writes
    )


def settings(found):
    """Return the settings of an environment, the last of each key."""
    count = int(found["GIT_CONFIG_COUNT"])
    return {found[f"GIT_CONFIG_KEY_{n}"]: found[f"GIT_CONFIG_VALUE_{n}"] for n in range(count)}


def passwords(found):
    return [value for name, value in found.items() if name.startswith("AGENTNB_GIT_PASSWORD")]


def test_the_lists_are_those_that_are_tested():
    assert hardening._FIXED == OVERRIDDEN
    assert hardening._SPEAKING == SPEAKING


@pytest.mark.parametrize("key", OVERRIDDEN)
def test_a_repositorys_own_setting_does_not_count(tmp_path, key):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "config", key, "evil"], check=True)
    found = subprocess.run(
        ["git", "-C", tmp_path, "config", "--get", key],
        env={**os.environ, **environment(entry(key))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == f"{OVERRIDDEN[key]}\n"


@pytest.mark.parametrize(("name", "value"), SPEAKING.items())
def test_git_neither_asks_nor_edits_nor_waits(name, value):
    assert environment()[name] == value


def test_without_settings_of_the_repository_every_login_is_given():
    assert passwords(environment()) == ["hunter22", "hunter33"]
    of_user = [entry(f"http.{name}", scope="global") for name in (*CERTIFICATES, *PROXIES)]
    assert passwords(environment(*of_user)) == ["hunter22", "hunter33"]


@pytest.mark.parametrize("name", CERTIFICATES)
@pytest.mark.parametrize("key", ["http.{}", "http.https://example.com/.{}", "remote.origin.{}"])
def test_a_repository_that_chooses_certificates_gets_no_login(key, name):
    found = environment(entry(key.format(name)))
    assert passwords(found) == []
    assert not [one for one in settings(found) if one.startswith("credential.http")]


@pytest.mark.parametrize("name", sorted(hardening._HTTP_HARMLESS))
def test_a_harmless_setting_of_a_connection_costs_no_login(name):
    assert len(passwords(environment(entry(f"http.{name}")))) == 2


@pytest.mark.parametrize("name", ["sslcert", "sslkey", "sslbackend", "delegation", "a new one"])
def test_any_other_setting_of_a_connection_costs_the_logins(name):
    assert passwords(environment(entry(f"http.https://example.com/.{name}"))) == []


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("key", ["http.{}", "http.https://example.com/.{}", "remote.origin.{}"])
def test_a_repository_that_chooses_the_way_gets_logins_for_https_only(key, name):
    assert passwords(environment(entry(key.format(name)))) == ["hunter22"]


@pytest.mark.parametrize(
    ("name", "value"), [("sslVerify", "true"), ("saveCookies", "false"), ("cookieFile", "")]
)
@pytest.mark.parametrize("key", ["http.{}", "http.https://example.com/.{}"])
def test_a_repository_turns_no_check_of_certificates_off_and_keeps_no_cookies(key, name, value):
    key = key.format(name.lower())
    assert settings(environment(entry(key)))[key] == value


@pytest.mark.parametrize("part", ["clean", "smudge", "process"])
@pytest.mark.parametrize("writes", [False, True])
def test_a_filter_of_a_repository_does_not_run_by_any_of_its_commands(part, writes):
    found = settings(environment(entry(f"filter.evil.{part}"), writes=writes))
    assert [found[f"filter.evil.{one}"] for one in ("clean", "smudge", "process")] == [""] * 3
    assert found["filter.evil.required"] == ("true" if writes else "false")


@pytest.mark.parametrize(
    "key",
    [
        "lfs.extension.evil.clean",
        "lfs.customtransfer.evil.path",
        "lfs.standalonetransferagent",
        "lfs.https://example.com/.standalonetransferagent",
        "lfs.path",
        "lfs.anything.new",
    ],
)
def test_lfs_does_not_run_where_the_repository_gives_it_a_program(key):
    asked = entry("filter.lfs.clean", "git-lfs clean -- %f")
    assert settings(environment(asked, filters=("lfs",)))["filter.lfs.clean"].startswith("git-lfs")
    assert settings(environment(asked, entry(key), filters=("lfs",)))["filter.lfs.clean"] == ""


@pytest.mark.parametrize("name", sorted(hardening._LFS_HARMLESS))
def test_lfs_runs_where_the_repository_has_set_what_is_harmless(name):
    asked = entry("filter.lfs.clean"), entry(f"lfs.https://example.com/.{name}")
    assert settings(environment(*asked, filters=("lfs",)))["filter.lfs.clean"].startswith("git-lfs")


@pytest.mark.parametrize("command", ["diff", "log", "show", "diff-tree"])
def test_a_command_that_compares_never_runs_what_is_named_for_it(command):
    added = ["--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty"]
    assert hardening.hardened([command, "x"]) == [command, *added, "x"]


@pytest.mark.parametrize(
    ("key", "overridden", "value"),
    [
        ("merge.evil.driver", "merge.evil.driver", "false"),
        ("hook.evil.command", "hook.evil.enabled", "false"),
        ("hook.evil.event", "hook.evil.command", ":"),
        ("core.alternateRefsCommand", "core.alternateRefsCommand", "true"),
    ],
)
def test_what_has_a_name_of_the_repositorys_choice_is_overridden_by_it(key, overridden, value):
    assert settings(environment(entry(key)))[overridden] == value


@pytest.mark.parametrize("key", ["remote.origin.promisor", "extensions.partialclone"])
def test_a_partial_clone_that_names_its_program_fetches_nothing(key):
    program = entry("remote.origin.uploadpack")
    assert environment()["GIT_ALLOW_PROTOCOL"] == "https:http:ssh:file"
    assert environment(entry(key))["GIT_ALLOW_PROTOCOL"] == "https:http:ssh"
    assert environment(entry(key), program)["GIT_ALLOW_PROTOCOL"] == "none"
