"""The command line, run as people run it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from agentnb.cli import main
from agentnb.cli.parser import parse

SECRET = "hunter22x"


@pytest.fixture
def agentnb(tmp_path):
    """Run ``agentnb`` with these words in an empty folder and return what it printed."""
    # What the session sets to shield its tests would win over their own .env.
    shields = ("AGENTNB_", "DATABASE_URL", "REDIS_URL")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(shields)}

    def run(*words, cwd=tmp_path, **variables):
        return subprocess.run(
            [sys.executable, "-m", "agentnb", *map(str, words)],
            cwd=cwd,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def notebook(path, source):
    cell = {"cell_type": "code", "source": source, "outputs": [], "metadata": {}}
    path.write_text(
        json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    return path


def test_the_version_is_printed(agentnb):
    done = agentnb("--version")
    assert re.fullmatch(r"agentnb \d+\.\d+\.\d+\n", done.stdout)
    assert done.returncode == 0


@pytest.mark.parametrize(("call", "spared"), [("main()", True), ("main(['--version'])", False)])
def test_a_command_of_a_process_of_its_own_spares_the_last_looks_for_garbage(call, spared):
    code = f"import gc; from agentnb.cli import main; {call}; print(gc.get_freeze_count() > 0)"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == str(spared)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["lap"], "did you mean lab?"),
        (
            ["xyzzy"],
            "commands: lab, tutorials, init, worker, serve, mcp, migrate, check, health, doctor",
        ),
        (["lab", "--prot", "3"], "did you mean --port?"),
        (["lab", "--port", "70000"], "agentnb lab --help"),
        (["lab", "one", "two"], "agentnb lab --help"),
        (["check"], "agentnb check --help"),
        (["tutorials"], "agentnb tutorials --help"),
        ([], "agentnb --help"),
    ],
)
def test_a_wrong_call_is_a_short_error_with_a_hint(agentnb, tmp_path, words, hint):
    done = agentnb(*words)
    assert done.returncode == 2
    assert f"hint: {hint}" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        *("lab", "tutorials", "init", "worker", "serve", "migrate", "check", "health", "doctor"),
        "status",
    ],
)
def test_the_help_of_each_command_has_an_example(command, capsys):
    with pytest.raises(SystemExit):
        parse([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(rf"example: .*agentnb {command}", said)


def test_tutorials_go_to_a_folder_with_spaces_and_overwrite_nothing(agentnb, tmp_path):
    done = agentnb("tutorials", "my work/first steps")
    folder = tmp_path / "my work" / "first steps"
    data = folder / "data" / "agents.csv"
    assert done.returncode == 0, done.stderr
    data.write_text("mine")
    again = agentnb("tutorials", folder)
    assert "copied 0" in again.stdout
    assert data.read_text() == "mine"


def test_a_folder_that_cannot_be_written_to_is_a_short_error(agentnb, tmp_path):
    if os.geteuid() == 0:
        folder = Path("/proc/tutorials")  # root may write anywhere but here
    else:
        folder = tmp_path / "locked"
        folder.mkdir(mode=0o555)
    done = agentnb("tutorials", folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "hint: name a folder that you may write to" in done.stderr


def test_a_file_in_place_of_the_folder_is_a_short_error(agentnb, tmp_path):
    (tmp_path / "t").write_text("mine")
    done = agentnb("tutorials", "t")
    assert done.returncode == 2
    assert "is not a folder" in done.stderr
    assert (tmp_path / "t").read_text() == "mine"


def test_check_tells_by_its_exit_code_and_never_repeats_the_secret(agentnb, tmp_path):
    clean = notebook(tmp_path / "clean.ipynb", "1 + 1")
    leaky = notebook(tmp_path / "leaky.ipynb", f'password = "{SECRET}"')
    assert agentnb("check", clean).returncode == 0
    done = agentnb("check", clean, leaky)
    assert done.returncode == 1
    assert "leaky.ipynb: cell 1, source line 1" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_check_goes_on_after_a_file_that_is_no_notebook(agentnb, tmp_path):
    (tmp_path / "broken.ipynb").write_text("{")
    leaky = notebook(tmp_path / "leaky.ipynb", f'password = "{SECRET}"')
    done = agentnb("check", "broken.ipynb", leaky)
    assert done.returncode == 2
    assert "broken.ipynb is not a notebook" in done.stderr
    assert "leaky.ipynb: cell 1" in done.stdout


def test_check_knows_the_secrets_of_the_settings(agentnb, tmp_path):
    path = notebook(tmp_path / "n.ipynb", "say('correct horse battery')")
    assert agentnb("check", path).returncode == 0
    (tmp_path / ".env").write_text("MODEL_API_KEY='correct horse battery'\n")
    done = agentnb("check", path)
    assert done.returncode == 1
    assert "known secret: say('••••••')" in done.stdout


def test_init_says_what_it_made_and_refuses_what_is_there(agentnb, tmp_path):
    done = agentnb("init", "shop")
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "shop"
    made = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("made ")}
    assert made == {str(path) for path in folder.rglob("*") if path.is_file()}
    assert done.stdout.endswith(f"next: cd {folder} && agentnb doctor && python -m pytest\n")
    again = agentnb("init", "shop")
    assert (again.returncode, again.stdout) == (2, "")
    assert f"hint: agentnb init --force {folder} makes what is missing" in again.stderr
    beside = agentnb("init", "two words/shop")
    assert f"next: cd '{tmp_path / 'two words' / 'shop'}' && " in beside.stdout
    again = agentnb("init", "two words/shop").stderr
    assert f"--force '{tmp_path / 'two words' / 'shop'}' makes" in again
    (folder / "Dockerfile").unlink()
    forced = agentnb("init", "--force", "shop").stdout
    assert [line for line in forced.splitlines() if line.startswith("made ")] == [
        f"made  {folder / 'Dockerfile'}"
    ]
    assert (
        agentnb("worker", "--agents", "--app", "shop.agents", "--drain", cwd=folder).returncode == 0
    )


def test_init_says_how_pytest_is_installed_where_it_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pytest", None)  # as if it were not installed
    assert main(["init", str(tmp_path / "shop")]) == 0
    assert capsys.readouterr().out.endswith(" && pip install pytest && python -m pytest\n")


def test_the_doctor_tells_by_its_exit_code_and_makes_nothing(agentnb, tmp_path):
    done = agentnb("doctor", "--timeout", "30", REDIS_URL=f"redis://:{SECRET}@127.0.0.1:1/0")
    assert (done.returncode, done.stderr) == (1, "")
    assert re.search(
        r"^failed +redis +redis://127.0.0.1:1/0 cannot be reached", done.stdout, re.MULTILINE
    )
    assert re.search(r"^ +mend: is it running", done.stdout, re.MULTILINE)
    assert SECRET not in done.stdout
    done = agentnb("doctor", "--json", "--timeout", "30", AGENTNB_DB_TIMEOT="5")
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["ok"] else 1)
    (warning,) = [one for one in found["checks"] if "TIMEOT" in one["detail"]]
    assert warning["mend"] == "did you mean AGENTNB_DB_TIMEOUT?"
    assert list(tmp_path.iterdir()) == []


def test_status_shows_every_source_and_no_password(agentnb, tmp_path):
    (tmp_path / ".env").write_text(f"REDIS_URL=redis://:{SECRET}@cache/0\n")
    done = agentnb("status", DATABASE_URL=f"postgresql://ada:{SECRET}@db/app", GITHUB_TOKEN=SECRET)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout
    assert re.search(r"DATABASE_URL +postgresql://ada:••••••@db/app +environment", done.stdout)
    assert re.search(r"REDIS_URL +redis://:••••••@cache/0 +\S+/\.env", done.stdout)


def test_status_tells_the_database_the_server_and_the_prefix(agentnb, tmp_path):
    said = agentnb("status").stdout
    assert f"database  SQLite, {tmp_path}/.agentnb/agentnb.db" in said
    assert f"redis     the embedded server of {tmp_path}/.agentnb, prefix agentnb" in said
    urls = {"DATABASE_URL": f"postgresql://ada:{SECRET}@h/x", "REDIS_URL": f"redis://:{SECRET}@r/0"}
    said = agentnb("status", AGENTNB_KEY_PREFIX="", **urls).stdout
    assert re.search(r"^database  postgresql://ada:\S+@h/x$", said, re.MULTILINE)
    assert re.search(r"^redis     redis://:\S+@r/0, no prefix$", said, re.MULTILINE)
    assert SECRET not in said


@pytest.mark.parametrize("marker", [None, ".env"])
def test_a_home_that_the_working_directory_decides_is_said_once(agentnb, tmp_path, marker):
    if marker:
        (tmp_path / marker).touch()
    made = f"agentnb: {tmp_path}/.agentnb is made, since no .agentnb, .env or .git is in"
    first, again = (agentnb("health", "--timeout", "30") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert (made in first.stderr) == (marker is None)
    assert made not in again.stderr
    elsewhere = agentnb("health", "--timeout", "30", AGENTNB_HOME=str(tmp_path / "other"))
    assert elsewhere.stderr == ""


def test_a_malformed_env_file_is_a_short_error(agentnb, tmp_path):
    (tmp_path / ".env").write_text("fine=1\nnot a line at all\n")
    done = agentnb("status")
    assert done.returncode == 2
    assert "line 2" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    command = f"{sys.executable} -m agentnb.cli status | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def lab(tmp_path):
    """Start ``agentnb lab`` and return its process and the file that it prints to."""
    started = []

    def start(*words, **variables):
        log = tmp_path / f"lab-{len(started)}.log"
        home = {name: str(tmp_path / "home") for name in ("HOME", "JUPYTER_CONFIG_DIR")}
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "agentnb.cli", "lab", *map(str, words)],
                cwd=tmp_path,
                env={**os.environ, **home, **variables},
                stdout=file,
                stderr=file,
            )
        started.append(process)
        return process, log

    yield start
    for process in started:
        process.terminate()
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address(process, log):
    """Return the address that Lab printed, as soon as it has."""
    for _ in range(600):
        found = re.search(r"http://127\.0\.0\.1:(\d+)(\S*)\?token=(\w+)", log.read_text())
        if found:
            return found.groups()
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def get(port, path, token):
    url = f"http://127.0.0.1:{port}{path}"
    request = urllib.request.Request(url, headers={"Authorization": f"token {token}"})
    for _ in range(100):
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.read().decode()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError(f"no answer from {url}")


def test_lab_starts_on_the_tutorials_with_this_environments_kernel(lab, tmp_path):
    # Another kernel by the same name, where Jupyter looks before the environment of its own.
    other = tmp_path / "data" / "kernels" / "python3"
    other.mkdir(parents=True)
    other.joinpath("kernel.json").write_text(
        json.dumps({"argv": ["false"], "display_name": "another", "language": "python"})
    )
    # Code of others in the folder, which Python would run.
    folder = tmp_path / "my tutorials"
    folder.mkdir()
    for name in ("random.py", "jupyter_server_config.py"):
        (folder / name).write_text(f"open({str(tmp_path / 'sprung')!r}, 'w').write({name!r})\n")
    port = free_port()
    process, log = lab(
        "my tutorials",
        "--no-browser",
        "--port",
        port,
        JUPYTER_PATH=str(tmp_path / "data"),
        JUPYTER_PREFER_ENV_PATH="0",
    )
    found, path, token = address(process, log)
    assert int(found) == port
    if (tmp_path / "my tutorials" / "00_start.ipynb").exists():
        assert path == "/lab/tree/00_start.ipynb"
    listing = json.loads(get(port, "/api/contents/data", token))
    assert [entry["name"] for entry in listing["content"]] == ["agents.csv"]
    listing = json.loads(get(port, "/api/contents/guide", token))
    assert {"index.md", "queue.md"} <= {entry["name"] for entry in listing["content"]}
    manager = json.loads(
        get(port, "/lab/api/settings/@jupyterlab/docmanager-extension:plugin", token)
    )
    viewers = manager["schema"]["properties"]["defaultViewers"]["default"]
    assert viewers == {"markdown": "Markdown Preview"}
    kernels = json.loads(get(port, "/api/kernelspecs", token))["kernelspecs"]
    assert kernels["python3"]["spec"]["display_name"] != "another"
    assert not (tmp_path / "sprung").exists()
    assert os.readlink(f"/proc/{process.pid}/cwd") == "/"  # noqa: PTH115

    second, second_log = lab("my tutorials", "--no-browser", "--port", port)
    assert int(address(second, second_log)[0]) != port  # taken, so another
    assert "copied 0" in second_log.read_text()


def test_lab_ends_when_its_process_is_told_to(lab):
    process, log = lab("t", "--no-browser", "--port", free_port())
    address(process, log)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("import agentnb.cli.parser", ["asyncio", "sqlalchemy", "redis"]),
        ("import agentnb.core.workflow.migrating", ["sqlalchemy.orm", "alembic"]),
    ],
    ids=["parser", "workflow"],
)
def test_a_command_loads_only_what_it_needs(code, left):
    code = f"{code}, sys; print([one for one in {left} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
