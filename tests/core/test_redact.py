from __future__ import annotations

import itertools
import pickle
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core import redact as module
from agentnb.core.redact import (
    MASK,
    PATTERNS,
    Redactor,
    Secret,
    has_password,
    is_secret_name,
    redact,
)

ALNUM = "aB3" * 20
TOKENS = {
    "GitHub": [f"gh{letter}_{ALNUM[:36]}" for letter in "pousr"],
    "GitHub, fine-grained": [f"github_pat_{ALNUM[:22]}_{ALNUM[:59]}"],
    "GitLab": [f"glpat-{ALNUM[:20]}", "glpat-_-" + ALNUM[:20]],
    "OpenAI, Anthropic and others": [
        f"sk-{ALNUM[:48]}",
        f"sk-proj-{ALNUM[:40]}",
        f"sk-ant-api03-{ALNUM}",
    ],
    "Stripe": [f"{a}k_{b}_{ALNUM[:24]}" for a in "rs" for b in ("live", "test")],
    "Slack": [f"xox{letter}-123-456-{ALNUM[:24]}" for letter in "abeprs"],
    "Hugging Face": [f"hf_{ALNUM[:34]}"],
    "npm": [f"npm_{ALNUM[:36]}"],
    "PyPI": [f"pypi-{ALNUM}_-{ALNUM}"],
    "Google": [f"AIza{ALNUM[:33]}_-"],
    "AWS": ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"],
    "JWT": [f"eyJ{ALNUM[:20]}.eyJ{ALNUM[:20]}.{ALNUM[:20]}"],
}
NAMES = (
    *("password", "passwd", "passphrase", "pass", "pwd", "secret", "token", "authorization"),
    *("api_key", "api-key", "apikey", "access_key", "access-key", "accesskey"),
    *("private_key", "private-key", "privatekey", "credential", "credentials"),
)


@pytest.mark.parametrize(
    ("kind", "token"), [(kind, one) for kind, found in TOKENS.items() for one in found]
)
def test_every_kind_of_token_is_masked_wherever_it_stands(kind, token):
    for text in ("{}", "a {} b", '"{}"', "https://h/?x={}", "({})", "x:{}"):
        assert token not in redact(text.format(token)), kind
        assert MASK in redact(text.format(token))
    assert token not in redact(f"{token} and {token}")
    assert PATTERNS["known token"].search(f"a {token}")["value"] == token


def test_the_kinds_of_tokens_are_those_that_are_tested():
    assert module._TOKENS.keys() == TOKENS.keys()


@pytest.mark.parametrize("kind", TOKENS)
@given(data=st.data())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_whatever_has_the_shape_of_a_token_is_masked(kind, data):
    token = data.draw(st.from_regex(rf"(?a:{module._TOKENS[kind]})", fullmatch=True))
    assert token not in redact(f"a {token} b")


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_is_masked_whole_or_as_far_as_it_is_there(kind):
    key = f"-----BEGIN {kind}PRIVATE KEY-----\nMIIE-x\n-----END {kind}PRIVATE KEY-----"
    assert redact(f"a {key} b") == f"a {MASK} b"
    assert "BEGIN" not in redact(f"a -----BEGIN {kind}PRIVATE KEY-----")


@pytest.mark.parametrize("name", NAMES)
def test_the_value_of_every_name_of_a_secret_is_masked(name):
    for spelt, form in itertools.product(
        (name, name.upper(), f"MY_{name}"),
        ("{}=hunter22", "{}: hunter22", '{{"{}": "hunter22"}}', "environ['{}'] = 'hunter22'"),
    ):
        assert "hunter22" not in redact(form.format(spelt)), (spelt, form)
    assert is_secret_name(name.replace("-", "_"))
    assert is_secret_name(f"DB_{name}".replace("-", "_").upper())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://ada:pw@db/app", f"postgresql://ada:{MASK}@db/app"),
        ("redis://:pw@host", f"redis://:{MASK}@host"),
        ("POSTGRES://ADA:p@ss:w@host", f"POSTGRES://ADA:{MASK}@host"),
        ("a b://c:d@e, f://g:h@i", f"a b://c:{MASK}@e, f://g:{MASK}@i"),
        ("?user=a&password=pw&x=1", f"?user=a&password={MASK}&x=1"),
        ('{"api_key": "k \\" k", "n": 1}', f'{{"api_key": {MASK}, "n": 1}}'),
        ("token: abc", f"token: {MASK}"),
        ('unrecognized token: "\'x"', 'unrecognized token: "\'x"'),
        ("Authorization: Bearer abcdefgh12345", f"Authorization: {MASK}"),
        ("ghp_" + "a" * 36, MASK),
        ("http://localhost:8888/tree?x=a@b", "http://localhost:8888/tree?x=a@b"),
        ("postgresql://ada@db/app", "postgresql://ada@db/app"),
        ("12:30 ada@example.com", "12:30 ada@example.com"),
    ],
)
def test_what_looks_like_a_secret_is_masked_and_nothing_else(text, expected):
    assert redact(text) == expected
    assert redact(redact(text)) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://ada:pw@db/app", True),
        ("postgresql://ada:p/w@db/app", True),
        ("postgresql://ada:p@w@db/app", True),
        ("redis://:pw@host", True),
        ("postgresql://db/app?password=pw", True),
        ("postgresql://ada@db/app", False),
        ("postgresql://ada@db:5432/app", False),
        ("postgresql://db:5432/app?options=a@b", False),
        ("sqlite:///a b.db", False),
        ("prod", False),
    ],
)
def test_a_url_with_a_password_is_told_from_one_without(url, expected):
    assert has_password(url) is expected


def test_a_long_text_is_masked_in_reasonable_time():
    started = time.process_time()
    for text in ("a." * 50_000, "://" * 30_000, "password " * 20_000, "x:" * 50_000 + "@"):
        redact(text)
        has_password(text)
    assert time.process_time() - started < 3  # seconds: it takes 0.1, a quadratic pattern 10


def test_known_values_are_masked_the_longest_first():
    redactor = Redactor(["hunter", "hunter22", "abc"])
    assert redactor("hunter22 hunter abc") == f"{MASK} {MASK} abc"
    redactor.add("known-now")
    assert redactor("known-now") == MASK
    assert "hunter" not in repr(redactor)


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD", "PGPASSWORD", "OPENAI_API_KEY", "GITHUB_TOKEN", "secret"]
)
def test_the_names_of_secrets_are_known(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["PWD", "OLDPWD", "TOKENS", "HOME", "KEYBOARD", "PASSAGE"])
def test_other_names_are_not_taken_for_secrets(name):
    assert not is_secret_name(name)


def test_a_secret_shows_itself_to_nobody_who_did_not_ask():
    secret = Secret("hunter22")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret:>20}", repr([secret])]
    assert all("hunter22" not in text for text in [*shown, secret._repr_html_()])
    assert secret.reveal() == "hunter22"
    assert secret == Secret("hunter22") != "hunter22"
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
