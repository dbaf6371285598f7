"""Patterns of channels: what they match, and that no pattern takes for ever."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.events.glob import is_pattern, matcher


def _naive(pattern, text):
    """Return whether a text matches, by the definition alone; for small inputs."""
    if not pattern:
        return not text
    first, rest = pattern[0], pattern[1:]
    if first == "*":
        return any(_naive(rest, text[at:]) for at in range(len(text) + 1))
    if first == "\\" and rest:
        return text[:1] == rest[0] and _naive(rest[1:], text[1:])
    if first == "[":
        members, negated, rest = _members(rest)
        return bool(text) and (text[0] in members) != negated and _naive(rest, text[1:])
    return bool(text) and first in {"?", text[0]} and _naive(rest, text[1:])


def _members(rest):
    negated = rest[:1] == "^"
    rest = rest[negated:]
    members = set()
    while rest and rest[0] != "]":
        if rest[0] == "\\" and len(rest) > 1:
            members.add(rest[1])
            rest = rest[2:]
        elif rest[1:2] == "-" and len(rest) > 2:
            low, high = sorted((rest[0], rest[2]))
            members |= {chr(code) for code in range(ord(low), ord(high) + 1)}
            rest = rest[3:]
        else:
            members.add(rest[0])
            rest = rest[1:]
    return members, negated, rest[1:]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text("ab*?[]^-\\", max_size=9), st.text("ab*", max_size=7))
def test_a_pattern_matches_as_its_definition_says(pattern, text):
    expected = _naive(pattern, text) if is_pattern(pattern) else pattern == text
    assert matcher(pattern)(text) is expected


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(["*", "?", "a", "ab", "[a-b]"]), max_size=8), st.text("ab"))
def test_stars_are_matched_as_their_definition_says(parts, text):
    pattern = "".join([*parts, "*"])
    assert matcher(pattern)(text) is _naive(pattern, text)


def test_no_pattern_takes_for_ever():
    # Each of these would try more ways than there are atoms, if a star tried its places again.
    for pattern in ("*a" * 200 + "*b", "*?" * 200 + "*!", "*" * 5000 + "b", "*[a-z]" * 200 + "*b"):
        assert not matcher(pattern)("a" * 5000)
        assert matcher(pattern[:-1])("a" * 5000)
