"""The cache against a model of it: a dictionary of keys, each with its value and its tags."""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from agentnb.core.events.glob import matcher

KEYS = st.text("ab:*", min_size=1, max_size=3)
PATTERNS = st.text("ab:*?[]\\", min_size=1, max_size=4)
TAGS = st.sets(st.sampled_from(["x", "y"]), max_size=2)
VALUES = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.lists(st.integers()))


class Model(RuleBasedStateMachine):
    """Does the same to a cache and to a dictionary."""

    make = None
    numbers = itertools.count()

    @initialize()
    def begin(self):
        self.cache = self.make(prefix=f"model-{next(self.numbers)}")
        self.model = {}
        self.tagged = {"x": set(), "y": set()}  # what has ever had a tag, since it was last used

    @rule(key=KEYS, value=VALUES, tags=TAGS)
    def set(self, key, value, tags):
        self.cache.set(key, value, tags=tuple(tags))
        self.model[key] = (value, tags)
        for tag in tags:
            self.tagged[tag].add(key)

    @rule(key=KEYS, value=VALUES)
    def load(self, key, value):
        expected = self.model.setdefault(key, (value, set()))[0]
        assert self.cache.get_or_set(key, lambda: value) == expected

    @rule(key=KEYS)
    def get(self, key):
        assert self.cache.get(key, "none") == self.model.get(key, ("none",))[0]
        assert (self.cache.ttl(key) is not None) is (key in self.model)

    @rule(key=KEYS)
    def delete(self, key):
        assert self.cache.delete(key) == (self.model.pop(key, None) is not None)

    @rule(tag=st.sampled_from(["x", "y"]))
    def invalidate_a_tag(self, tag):
        certain = {key for key, (_, tags) in self.model.items() if tag in tags}
        # A key that was set again without the tag may go as well: it is loaded once more.
        possible = certain | (self.tagged[tag] & self.model.keys())
        removed = self.cache.invalidate_tags(tag)
        gone = self.model.keys() - set(self.cache.keys())
        assert certain <= gone <= possible
        assert removed == len(gone)
        self.tagged[tag].clear()
        for key in gone:
            del self.model[key]

    @rule(pattern=PATTERNS)
    def invalidate(self, pattern):
        gone = list(filter(matcher(pattern), self.model))
        assert self.cache.invalidate(pattern) == len(gone)
        for key in gone:
            del self.model[key]

    @rule(pattern=PATTERNS)
    def list(self, pattern):
        assert sorted(self.cache.keys(pattern)) == sorted(filter(matcher(pattern), self.model))

    @invariant()
    def has_the_same_keys(self):
        if hasattr(self, "cache"):
            assert sorted(self.cache.keys()) == sorted(self.model)


def test_a_cache_does_what_a_dictionary_with_tags_would(make_cache):
    class OnThisServer(Model):
        make = staticmethod(make_cache)

    short = settings(
        max_examples=30, stateful_step_count=20, deadline=None, derandomize=True, database=None
    )
    run_state_machine_as_test(OnThisServer, settings=short)
