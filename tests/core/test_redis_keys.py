from __future__ import annotations

import pytest

from agentnb.core.errors import UsageError
from agentnb.core.redis import Keys, RedisClient
from agentnb.core.settings import Settings


def test_keys_of_a_prefix_share_a_slot_and_nothing_else():
    keys = Keys("team")
    made = [keys.cache("a"), keys.channel("a"), keys.internal("queue", "a")]
    assert all(key.startswith("{team}:") for key in made)
    assert len(set(made)) == 3


def test_an_empty_prefix_gives_bare_names_to_cache_keys_and_channels_only():
    keys = Keys("")
    assert keys.cache("rates") == keys.channel("rates") == "rates"
    assert keys.internal("queue", "rates") == "{agentnb}:queue:rates"


def test_under_an_empty_prefix_internal_keys_are_neither_made_nor_taken_for_values():
    keys = Keys("")
    assert keys.cache_name("{agentnb}:queue:mail") is None
    with pytest.raises(UsageError, match="agentnb's own"):
        keys.cache("{agentnb}:queue:mail")


@pytest.mark.parametrize("name", ["new\nline", "emoji 🎉", "{braces}", "*", "a:b:c", ""])
def test_names_come_back_as_they_were(name):
    for prefix in ("agentnb", "with*star{}", ""):
        keys = Keys(prefix)
        assert keys.cache_name(keys.cache(name)) == name


def test_a_pattern_finds_the_values_of_its_prefix_and_no_others(redis_home):
    with RedisClient(home=redis_home) as client:
        for prefix in ("a", "a*", "ab", "[a]", ""):
            keys = Keys(prefix)
            client.set(keys.cache("rates"), prefix)
            client.set(keys.internal("lock", "rates"), prefix)
        for prefix in ("a", "a*", "ab", "[a]"):
            keys = Keys(prefix)
            found = [key.decode() for key in client.scan_iter(keys.cache_pattern("ra*"))]
            assert found == [keys.cache("rates")]
        assert list(client.scan_iter(Keys("").cache_pattern("ra*"))) == [b"rates"]


def load(tmp_path, **environ):
    return Settings.load(start=tmp_path, environ=environ)


def test_a_jupyterhub_user_has_a_default_prefix_of_their_own(tmp_path):
    assert load(tmp_path).key_prefix == "agentnb"
    assert load(tmp_path, JUPYTERHUB_USER="ada").key_prefix == "agentnb-ada"
    assert load(tmp_path, JUPYTERHUB_USER="ada", AGENTNB_KEY_PREFIX="team").key_prefix == "team"
    assert load(tmp_path, JUPYTERHUB_USER="ada", AGENTNB_KEY_PREFIX="").key_prefix == ""
    assert load(tmp_path, JUPYTERHUB_USER="ada").source("key_prefix") == "default"
