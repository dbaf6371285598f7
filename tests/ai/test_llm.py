"""hub.llm: models of pydantic-ai from the settings, and a key that is nowhere shown."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import agentnb
import agentnb.ai
from agentnb.core.llm import extra
from agentnb.errors import ConfigError, UsageError
from tests.ai.conftest import KEY


@pytest.fixture
def make_hub(tmp_path):
    hubs = []

    def make(**settings):
        hubs.append(agentnb.connect(home=tmp_path / "home", workspace=tmp_path / "w", **settings))
        return hubs[-1]

    yield make
    for hub in hubs:
        hub.close()


def test_the_settings_name_a_model_its_address_and_its_key(make_hub, serve):
    from pydantic_ai import Agent

    api = serve(["one", "two"])
    hub = make_hub(llm="openai:fake", llm_url=api.url, llm_key=KEY)
    model = hub.llm()
    assert asyncio.run(Agent(model).run("hi")).output == "one"
    assert api.keys == [KEY]
    assert api.requests[0]["model"] == "fake"
    other = hub.llm("vendor/other:7b", key="another-key")  # a name with a colon of its own
    assert asyncio.run(Agent(other).run("hi")).output == "two"
    assert (api.keys[1], api.requests[1]["model"]) == ("another-key", "vendor/other:7b")
    assert hub.runtime.redactor(f"{KEY} another-key") == "•••••• ••••••"
    assert KEY not in repr(model) + str(vars(model)) + repr(hub.settings) + str(
        hub.settings.table()
    )


def test_an_environments_key_is_masked(make_hub, monkeypatch):
    monkeypatch.setenv("AGENTNB_LLM_KEY", "short")
    assert make_hub().runtime.redactor("it is short") == "it is ••••••"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, ConfigError, "no language model is named"),
        ({"model": "bogus:x"}, UsageError, "bogus"),
        ({"model": "nothing"}, UsageError, "nothing"),
        ({"model": 7}, UsageError, "model must be PROVIDER:NAME, got 7"),
        ({"model": "openai:x", "base_url": "ftp://x"}, UsageError, "base_url must be an http"),
        ({"model": "groq:x", "key": KEY}, ConfigError, "groq"),
        ({"model": "openai:x"}, UsageError, "OPENAI_API_KEY"),
    ],
)
def test_a_model_that_cannot_be_made_says_what_to_do(
    make_hub, monkeypatch, arguments, error, words
):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(error, match=words) as caught:
        make_hub().llm(**arguments)
    assert caught.value.hint
    assert KEY not in str(caught.value)


def test_the_model_test_needs_no_key(make_hub):
    assert make_hub(llm="test").llm().model_name == "test"


def test_a_missing_extra_says_how_to_install_it(make_hub, monkeypatch):
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"hub\.llm needs pydantic_ai") as caught:
        make_hub(llm="openai:x").llm()
    assert caught.value.hint == "%pip install 'agentnb-toolkit[ai]'"
    with pytest.raises(ConfigError, match=r"agentnb\.ai needs pydantic_ai"):
        vars(agentnb.ai).pop("Durability", None)
        _ = agentnb.ai.Durability


def test_neither_the_hub_nor_agentnb_ai_imports_the_library_before_it_is_used():
    code = (
        "import sys, agentnb, agentnb.ai; agentnb.connect().close(); print('pydantic_ai' in "
        "sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
