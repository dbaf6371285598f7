"""The executor that a word, an address or an object names."""

from __future__ import annotations

import sys
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from agentnb.core.errors import ConfigError, UsageError
from agentnb.core.work.executors.choose import WORDS, choose, read_executor


@pytest.mark.parametrize(
    "text",
    [
        *WORDS,
        *("dask://h:8786", "dask://10.0.0.5:8786/", "tcp://h-1.net:1", "tls://[::1]:8786"),
        *("pkg:make", "pkg.module:Maker.make"),
    ],
)
def test_a_text_of_one_of_the_forms_is_read(text):
    assert read_executor(f" {text} ") == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "dask", "thread", "Threads", "ray", "threads:4", "pkg.module", "pkg:", ":make"),
        *("dask://", "dask://h", "dask://h:0", "dask://h:65536", "dask://h:x", "dask://u@h:8786"),
        *("http://h:8786", "dask://h:8786/x", "dask:h:8786", "pkg module:make", "pkg:1make"),
    ],
)
def test_another_text_is_refused_with_the_forms_that_there_are(text):
    with pytest.raises(ValueError, match="threads, processes, dask://HOST:PORT"):
        read_executor(text)
    with pytest.raises(UsageError, match="executor must be threads") as caught:
        choose(text, service="queue")
    assert caught.value.service == "queue"
    assert caught.value.hint


@pytest.mark.parametrize(("text", "near"), [("thread", "threads"), ("procesess", "processes")])
def test_the_nearest_word_is_named(text, near):
    with pytest.raises(UsageError) as caught:
        choose(text, service="queue")
    assert caught.value.hint == f"did you mean {near}?"


def test_an_executor_is_itself():
    with ThreadPoolExecutor(1) as pool:
        assert choose(pool, service="queue") is pool


@pytest.mark.parametrize("wrong", [ThreadPoolExecutor, 5, None, object(), print, b"threads"])
def test_another_object_is_refused(wrong):
    with pytest.raises(UsageError, match=r"must be a concurrent\.futures\.Executor"):
        choose(wrong, service="workflow")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return the name of a module with factories, in the working directory."""
    (tmp_path / "some_factories.py").write_text(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "made = []\n"
        "class Group:\n"
        "    @staticmethod\n"
        "    def make(): return ThreadPoolExecutor(3)\n"
        "ready = ThreadPoolExecutor(2)\n"
        "def broken(): raise OSError('no licence')\n"
        "def nothing(): return None\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "some_factories"
    sys.modules.pop("some_factories", None)


@pytest.mark.parametrize("path", ["Group.make", "ready"])
def test_a_factory_of_a_module_makes_one(module, path):
    with choose(f"{module}:{path}", service="queue") as pool:
        assert isinstance(pool, Executor)
        assert pool.submit(abs, -1).result() == 1


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("some_factories:broken", ConfigError, "failed: OSError: no licence"),
        ("some_factories:nothing", UsageError, "got NoneType"),
        ("some_factories:reday", ConfigError, "has no reday"),
        ("no_such_module:make", ConfigError, "cannot be imported: ModuleNotFoundError"),
    ],
)
@pytest.mark.usefixtures("module")
def test_a_factory_that_makes_none_is_refused(text, error, message):
    with pytest.raises(error, match=message) as caught:
        choose(text, service="queue")
    assert caught.value.hint


def test_dask_that_is_not_installed_is_named(monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        "agentnb.core.extras.find_spec",
        lambda name: None if name == "distributed" else real(name),
    )
    with pytest.raises(ConfigError, match="needs distributed") as caught:
        choose("dask://localhost:8786", service="queue")
    assert caught.value.hint == "%pip install distributed"
