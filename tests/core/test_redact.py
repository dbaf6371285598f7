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
    "Slack, a hook": [f"hooks.slack.com/services/T{ALNUM[:9]}/B{ALNUM[:9]}/{ALNUM[:24]}"],
    "Discord, a hook": [
        f"discord.com/api/webhooks/{'1234567890' * 2}/{ALNUM[:40]}",
        f"discordapp.com/api/webhooks/{'1234567890' * 2}/{ALNUM[:40]}",
    ],
    "SendGrid": [f"SG.{ALNUM[:22]}.{ALNUM[:43]}"],
    "DigitalOcean": [f"do{letter}_v1_{'0a' * 32}" for letter in "opr"],
    "HashiCorp Vault": [f"hvs.{ALNUM[:24]}", f"hvb.{ALNUM[:24]}"],
    "JWT": [f"eyJ{ALNUM[:20]}.eyJ{ALNUM[:20]}.{ALNUM[:20]}"],
}
NAMES = (
    *("password", "passwd", "passphrase", "pass", "pwd", "secret", "token", "authorization"),
    *("api_key", "api-key", "apikey", "access_key", "access-key", "accesskey"),
    *("private_key", "private-key", "privatekey", "credential", "credentials"),
    *("password1", "secret_2", "gh_pat", "sentry_dsn", "secret_key_base"),
    *(f"{word}{mark}key" for word in module._KEYS.split("|") for mark in ("_", "-", "")),
)
LISTS = {
    "digest": 'username="ada", realm="x", nonce="n0nc3", response="hunter22"',
    "hawk": 'id="ada", ts="1", mac="hunter22"',
    "oauth": 'oauth_token="a", oauth_signature="hunter22"',
    "mac": 'id="ada", mac="hunter22"',
    "signature": 'keyId="ada",signature="hunter22"',
    "vapid": "t=abc, k=hunter22",
    "sharedaccesssignature": "sr=a&sig=hunter22&se=1",
    "aws4-hmac-sha256": "Credential=AK/2026/x, SignedHeaders=host, Signature=hunter22",
    "aws4-ecdsa-p256-sha256": "Credential=AK/2026/x, SignedHeaders=host, Signature=hunter22",
}


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("select 'x' as password", f"select '{MASK}' as password"),
        ("select 'a''b' AS \"db_password\", 1", f"select '{MASK}' AS \"db_password\", 1"),
        ("select 'a'::text as [api_key] from t", f"select '{MASK}'::text as [api_key] from t"),
        ("select 'it' as x, 'q' as token from t", f"select 'it' as x, '{MASK}' as token from t"),
        ("select 'x' as passport, 1 as token", "select 'x' as passport, 1 as token"),
        ("select 'x' as kind, token from t", "select 'x' as kind, token from t"),
    ],
)
def test_a_literal_that_a_statement_names_as_a_secret_is_masked(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize("name", NAMES)
def test_the_value_of_every_name_of_a_secret_is_masked(name):
    for spelt, form in itertools.product(
        (name, name.upper(), f"MY_{name}"),
        ("{}=hunter22", "{}: hunter22", '{{"{}": "hunter22"}}', "environ['{}'] = 'hunter22'"),
    ):
        assert "hunter22" not in redact(form.format(spelt)), (spelt, form)
    if name.endswith("key") and "_" not in name.replace("-", "_"):
        return  # of variables the last part counts: MONKEY is none
    assert is_secret_name(name.replace("-", "_"))
    assert is_secret_name(f"DB_{name}".replace("-", "_").upper())


def test_every_scheme_of_a_header_is_masked_with_its_credentials():
    assert LISTS.keys() == set(module._LISTS)
    for scheme in (*module._SCHEMES, *map(str.upper, module._SCHEMES)):
        for form in (
            "Authorization: {} hunter22",
            "authorization={} hunter22, and more",
            '{{"Authorization": "{} hunter22"}}',
            "Proxy-Authorization: {}  hunter22",
        ):
            assert "hunter22" not in redact(form.format(scheme)), (scheme, form)
    for scheme, credentials in LISTS.items():
        for form in ("Authorization: {} {}", "-H 'authorization: {} {}'"):
            assert "hunter22" not in redact(form.format(scheme, credentials)), (scheme, form)


@pytest.mark.parametrize(
    "text",
    [
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter22==;EndpointSuffix=b",
        "Endpoint=sb://a/;SharedAccessKeyName=b;SharedAccessKey=hunter22=",
        "curl -u ada:hunter22 https://h",
        "curl -sS --user 'ada:hunter22' https://h",
        "curl -x p --proxy-user ada:hunter22 https://h",
        "https://h/x?sv=1&sig=hunter22%3D&se=2",
        "https://h/x?X-Amz-Signature=hunter22&X-Amz-Date=1",
        "https://h/x?a=1&amp;Signature=hunter22",
        "https://h/x?X-Goog-Signature=hunter22",
        "redis://h?password=a)hunter22",
        "https://h?token=a]hunter22}hunter22 b",
        "connect(password=a)hunter22)",
        'SECRET_KEY = "hunter22"',
        "ENCRYPTION_KEY: hunter22",
        *("Authorization: Weird hunter22", "authorization=X-Own.2 hunter22, and more"),
        *("DB_PASSWORD_PROD=hunter22", "SECRET_KEY_FALLBACKS = ['hunter22', 'hunter22']"),
        *('"token": ["hunter22"]', 'password=("hunter22")', "API_TOKEN => 'hunter22'"),
        *('password: str = "hunter22"', "(token := 'hunter22')", "<password>hunter22</password>"),
        *("run --password hunter22", "x --api-key 'hunter22'", 'setenv("API_TOKEN", "hunter22")'),
        *("Cookie: a=hunter22; b=hunter22", '"Set-Cookie": "sid=hunter22; Path=/"'),
        *(
            "create user ada identified by 'hunter22'",
            "CREATE USER ada IDENTIFIED BY PASSWORD 'hunter22'",
        ),
        "create user a identified by 'x', b identified with caching_sha2_password by 'hunter22'",
        *("ALTER ROLE ada WITH PASSWORD 'hunter22'", "set password for ada = password('hunter22')"),
        *("alter user a encrypted password E'it''s hunter22'", "alter role a password 'hunter22"),
        *(r"create user a identified by 'x\'hunter22'", "pragma key = 'hunter22'"),
        *("token=(a)hunter22", "os.environ.setdefault('MY_TOKEN', 'hunter22')"),
    ],
)
def test_shapes_of_secrets_are_masked_whole(text):
    assert "hunter22" not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "write <password>@HOST, or <token>/x",
        "set AGENTNB_GIT_CREDENTIALS=https://USER:TOKEN@HOST in .env",
        "DATABASE_URL=postgresql://USER:PASSWORD@HOST/app",
        "primary_key: id, sort_key=name, key=5, keyboard: de, cache_key=rates",
        "curl -u",
        "sig=1; design=2",
        "f(a)(b)=c",
        *("token_count=3, password_length: 8", "a cookie: it is kept", "x -> y, a > b"),
        *("select 'a' as passport", "the password 'x' is not taken", "set it's password"),
        *("--token TOKEN or --token-file FILE", "the option --password is refused"),
    ],
)
def test_harmless_texts_stay_as_they_are(text):
    assert redact(text) == text


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
    for text in (
        "a." * 50_000,
        "://" * 30_000,
        "password " * 20_000,
        "x:" * 50_000 + "@",
        *("curl -u " * 9_000, "token=" + ")" * 50_000, "?sig" * 20_000, ";a-signature" * 9_000),
        *("--a-a-token " * 9_000, "--" + "a-" * 50_000, "cookie: a" * 9_000, "token=(" * 20_000),
        *("setenv('" + "a" * 99_999, "authorization: a " * 9_000, "token: Optional[" * 9_000),
        *("create password '" * 6_000, "identified by " * 8_000 + "'", "pragma key = '\\" * 9_000),
        *("authorization: digest " * 9_000, "api_key" * 20_000, "password1" + "1" * 99_999),
    ):
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
    "name",
    [
        *("DB_PASSWORD", "PGPASSWORD", "OPENAI_API_KEY", "GITHUB_TOKEN", "secret", "SECRET_KEY"),
        *("ENCRYPTION_KEY", "SIGNING_KEY", "AWS_SECRET_KEY", "STRIPE_KEY", "OPENAI_KEY", "GH_PAT"),
        *("DB_PASSWORD_PROD", "API_TOKEN_V2", "SECRET_KEY_FALLBACKS", "API_KEYS", "JWT", "SECRETS"),
        *("ACCOUNT_KEY", "SENTRY_DSN", "PASSWORD1", "PASSWORD_2", "accountKey", "SECRET_KEY_BASE"),
    ],
)
def test_the_names_of_secrets_are_known(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("PWD", "OLDPWD", "TOKENS", "HOME", "KEYBOARD", "PASSAGE", "MONKEY", "KEY", "KEY_PREFIX"),
        *("KEYS", "PRIMARY_KEYS", "PROD", "TEST_V2", "TOKEN_FILE", "PASSWORD_LENGTH"),
        *(f"X_{word.upper()}_KEY" for word in sorted(module._HARMLESS_KEYS)),
    ],
)
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
