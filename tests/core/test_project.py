"""A new project works as it is made, and one that cannot be made leaves nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentnb.core.errors import ConfigError, UsageError
from agentnb.core.project import init_project
from agentnb.core.settings import FIELDS, Settings

ROOT = Path(__file__).parents[2]
# The plugin is found by its entry point where agentnb is installed, and by its name everywhere.
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "agentnb.testing.plugin")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return init_project(tmp_path_factory.mktemp("made") / "shop").folder


@pytest.fixture
def environment(tmp_path):
    """Return an environment without settings, in which no host can be looked up."""
    names = ("AGENTNB_", "DATABASE_URL", "REDIS_URL", "PYTEST")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(names)}
    proxy = "http://127.0.0.1:1"
    return kept | {
        "IPYTHONDIR": str(tmp_path / "ipython"),
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), proxy),
    }


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_its_tests_pass(project, environment):
    done = subprocess.run(
        # nbval, which a project need not have, takes longer to import than all of this run.
        [*PYTEST, "-p", "no:cacheprovider", "-p", "no:nbval"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_its_notebook_runs(tmp_path, environment, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    folder = init_project(tmp_path / "shop").folder
    for name in os.environ:
        if name not in environment:
            monkeypatch.delenv(name)
    notebook = nbformat.read(folder / "shop.ipynb", as_version=4)
    nbformat.validate(notebook)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources).execute()
    shown = json.dumps([cell.get("outputs") for cell in notebook.cells])
    assert "tides: what?" in shown
    assert "events" in shown  # the last cell shows the services
    assert (folder / ".agentnb" / "agentnb.db").exists()


def test_its_python_is_as_the_checkers_want_it(project):
    ruff = [sys.executable, "-m", "ruff"]
    # A test has asserts, and its name is its sentence.
    options = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    ignore = [
        "--extend-per-file-ignores",
        ",".join(f"tests/*.py:{code}" for code in ("S101", "D103", "INP001")),
    ]
    for command in (["check", *options, *ignore], ["format", "--check", *options]):
        done = subprocess.run(
            [*ruff, *command, "."], cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_git_and_docker_ignore_settings_and_home(project):
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    for name in (".env", "workspace/x", "wheels/a.whl"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("A=1\n")
    done = subprocess.run(
        ["git", "status", "--porcelain", "-uall"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    shown = {line[3:] for line in done.stdout.splitlines()}
    assert {".env.example", "Dockerfile", "shop/agents.py", "wheels/README.md"} <= shown
    assert not {".env", "workspace/x", "wheels/a.whl"} & shown
    assert {"**/.env", ".agentnb", ".git"} <= {
        *(project / ".dockerignore").read_text().splitlines()
    }


def test_the_example_of_settings_names_settings_and_sets_none(project):
    text = (project / ".env.example").read_text()
    named = set(re.findall(r"^# ([A-Z_]+)=", text, re.MULTILINE))
    assert named <= {field.variable for field in FIELDS}
    (project / ".env").write_text(text)
    settings = Settings.load(start=project, environ={})
    assert {settings.source(field.name) for field in FIELDS} == {"default"}
    assert settings.home == project / ".agentnb"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("my shop", "my_shop"),
        ("2shop", "shop"),
        ("my-shop", "my_shop"),
        ("class", "class_app"),
        ("kürbis", "k_rbis"),
        ("json", "json_app"),
        ("sys", "sys_app"),
        ("sqlalchemy", "sqlalchemy_app"),
        ("agentnb", "agentnb_app"),
        ("tests", "tests_app"),
    ],
)
def test_a_name_that_no_package_can_have_is_refused_with_one_that_it_can(tmp_path, name, hint):
    with pytest.raises(UsageError) as caught:
        init_project(tmp_path / name)
    assert caught.value.hint == f"agentnb init {tmp_path / hint}"
    assert everything(tmp_path) == []


@pytest.mark.parametrize("text", ["", "a\0b", "/"])
def test_a_text_that_is_no_folder_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        init_project(text)
    assert everything(tmp_path) == []


def test_a_file_a_link_and_a_folder_with_files_are_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before = everything(tmp_path)
    for name, message in [
        ("file", "is a file"),
        ("file/shop", "is a file"),
        ("link", "is a link"),
        ("dangling", "is a link"),
        ("full", "holds files: mine.txt"),
    ]:
        with pytest.raises(UsageError, match=message):
            init_project(tmp_path / name)
    assert everything(tmp_path) == before
    assert init_project(tmp_path / "empty").kept == []


def test_with_force_nothing_is_overwritten_and_the_rest_is_made(tmp_path):
    folder = tmp_path / "shop"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "agents.py").write_text("mine")
    (folder / "Dockerfile").symlink_to(tmp_path / "nowhere")
    made = init_project(folder, force=True)
    assert sorted(made.kept) == ["Dockerfile", "shop/agents.py"]
    assert (folder / "shop" / "agents.py").read_text() == "mine"
    assert (folder / "tests" / "test_agents.py").exists()
    assert not (tmp_path / "nowhere").exists()
    assert init_project(folder, force=True).new == []


@pytest.mark.parametrize("inner", ["shop", "tests", ".agentnb"])
def test_no_file_is_made_through_a_link(tmp_path, inner):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / inner).symlink_to(tmp_path / "elsewhere")
    before = everything(tmp_path)
    with pytest.raises(UsageError, match="is a link or no folder"):
        init_project(tmp_path / "shop", force=True)
    assert everything(tmp_path) == before


def test_a_clone_without_files_counts_as_empty(tmp_path):
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    assert init_project(tmp_path / "shop").kept == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("number", [1, 5, 12])
def test_a_failure_half_way_leaves_nothing(tmp_path, monkeypatch, error, number):
    calls = []
    right = Path.open

    def open_or_fail(path, *args, **options):
        if path.is_relative_to(tmp_path):
            calls.append(path)
            if len(calls) == number:
                raise error
        return right(path, *args, **options)

    monkeypatch.setattr(Path, "open", open_or_fail)
    expected = ConfigError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        init_project(tmp_path / "deep" / "shop")
    assert everything(tmp_path) == []
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "mine").write_text("mine")
    calls.clear()
    with pytest.raises(expected):
        init_project(tmp_path / "shop", force=True)
    assert everything(tmp_path) == ["shop", "shop/mine"]


def test_a_file_that_is_half_written_is_removed(tmp_path, monkeypatch):
    right = Path.open

    def open_full(path, *args, **options):
        opened = right(path, *args, **options)
        if path.name != "agents.py":
            return opened
        opened.close()
        return right(Path("/dev/full"), "w")

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(ConfigError, match="No space left on device"):
        init_project(tmp_path / "shop")
    assert everything(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    if os.geteuid() == 0:
        folder = Path("/proc/shop")  # root may write anywhere but here
    else:
        folder = tmp_path / "locked" / "shop"
        folder.parent.mkdir(mode=0o555)
    with pytest.raises(ConfigError) as caught:
        init_project(folder)
    assert "nothing was made" in caught.value.hint
    assert not folder.exists()
