"""A text that a secret can come in by two ways is masked on both."""

from __future__ import annotations

import contextlib

import pytest

import agentnb
from agentnb.core.errors import AgentnbError, RejectedError
from agentnb.core.git import GitManager
from agentnb.core.redact import MASK
from agentnb.core.workflow import Task

from .git_http import GitHttp

TOKEN = f"ghp_{'a' * 36}"
URL = "https://ada:hunter22@example.com/app"
HOOK = f"""#!/bin/sh
echo 'see {URL}, token={TOKEN}' >&2
exit 1
"""


def told(error):
    """Return all that an error shows."""
    return f"{error} {error.hint} {error!r}"


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_the_text_of_a_refused_push_is_masked(tmp_path, plain_git, hook):
    plain_git(tmp_path, "init", "-q", "--bare", "-b", "main", "served/remote.git")
    remote = tmp_path / "served" / "remote.git"
    plain_git(remote, "config", "http.receivepack", "true")
    script = remote / "hooks" / hook
    script.write_text(HOOK)
    script.chmod(0o755)
    plain_git(tmp_path, "init", "-q", "-b", "main", "repo")
    (tmp_path / "repo" / "a").write_text("a")
    git = GitManager(tmp_path / "repo")
    git.add_files()
    git.commit("first")
    server = GitHttp(tmp_path / "served")
    server.open_to_all()
    try:
        git.add_remote("origin", server.url("remote.git"))
        with pytest.raises(RejectedError, match="refuses main") as caught:
            git.push("origin", "main")
    finally:
        server.stop()
    assert "hunter22" not in told(caught.value)
    assert TOKEN not in told(caught.value)
    assert f"{MASK}@example.com" in str(caught.value)


@pytest.mark.parametrize(
    "path", ["/status?code=403&token={}", "/status?code=302&location=ws://a:{}@h/"]
)
def test_a_refused_handshake_is_masked(make_socket, until, caplog, path):
    client, errors = make_socket(path.format("hunter22"), user="ada:hunter33@"), []
    client.on("error", errors.append)
    with contextlib.suppress(AgentnbError):
        client.connect(timeout=10)
    until(lambda: errors)
    for shown in (told(errors[0]), repr(client), str(client.stats()), caplog.text):
        assert "hunter22" not in shown
        assert "hunter33" not in shown


@pytest.mark.parametrize("code", [1000, 1001, 1008, 4000])
def test_the_reason_of_a_closed_websocket_is_masked(make_socket, until, caplog, code):
    # The one is known as a header of this client, the other by its shape.
    client = make_socket(headers={"X-Api-Key": "correct horse"})
    errors = []
    client.on("error", errors.append)
    client.connect()
    reason = f"no correct horse, token={TOKEN}"
    client.send({"do": "close", "code": code, "reason": reason})
    until(lambda: client.stats()["last_end"] and (errors or code <= 1001))
    shown = f"{client.stats()} {[told(error) for error in errors]} {caplog.text}"
    assert bool(errors) == (code > 1001)
    assert TOKEN not in shown
    assert "correct horse" not in shown
    assert MASK in client.stats()["last_end"]


def test_the_progress_and_the_lines_of_a_task_are_masked(redis_home, caplog):
    caplog.set_level("INFO", "agentnb")
    with agentnb.connect(home=redis_home, github_token="known-secret-1") as hub:

        @hub.workflows.agent("a")
        def agent(_, ctx):
            ctx.progress(0.5, f"at {URL} with token={TOKEN} and known-secret-1")
            ctx.log(f"said {TOKEN} and known-secret-1")
            raise ValueError(f"no {TOKEN} and known-secret-1")

        hub.workflows.work()
        done = hub.workflows.create("w", [Task("t", agent="a", attempts=2)])
        with pytest.raises(AgentnbError) as caught:
            done.wait(30)
        [task] = done.refresh().tasks
        lines = "\n".join(done.logs("t"))
        kept = f"{task.message} {task.error} {lines} {told(caught.value)} {caplog.text}"
    for secret in ("hunter22", TOKEN, "known-secret-1"):
        assert secret not in kept
    assert kept.count(MASK) > 4


def test_the_log_and_the_failure_of_a_job_are_masked(redis_home, caplog):
    with agentnb.connect(home=redis_home, github_token="known-secret-1") as hub:

        def work(job):
            job.log(f"said {TOKEN} and known-secret-1")
            raise ValueError(f"no {URL} {TOKEN} and known-secret-1")

        hub.queue("q").work(work)
        job = hub.queue("q").add(1, attempts=1)
        with pytest.raises(AgentnbError) as caught:
            job.result(timeout=20)
        failed = job.refresh()
        kept = f"{told(caught.value)} {failed.failure} {' '.join(failed.logs())} {caplog.text}"
    for secret in ("hunter22", TOKEN, "known-secret-1"):
        assert secret not in kept
    assert MASK in kept


def test_the_table_of_settings_masks_what_is_secret_by_its_name_and_by_its_shape(tmp_path):
    with agentnb.connect(
        home=tmp_path / "home",
        database_url="postgresql://ada:hunter22@h/db",
        redis_url=f"redis://:{TOKEN}@h/0",
        github_token="known-secret-1",
        git_credentials="https://ada:known-secret-2@example.com",
        serve_token="known-secret-3",
    ) as hub:
        table = hub.settings.table()
        shown = f"{table!r} {table._repr_html_()} {table.rows} {hub.settings!r}"
    for secret in ("hunter22", TOKEN, "known-secret-1", "known-secret-2", "known-secret-3"):
        assert secret not in shown
    assert f"postgresql://ada:{MASK}@h/db" in shown
