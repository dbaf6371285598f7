"""Masking of secrets in anything that could be printed, logged or saved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn, cast

from agentnb.core.keywords import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MASK", "PATTERNS", "Redactor", "Secret", "brief", "is_secret_name", "redact"]

MASK = "••••••"


class _Pattern:
    """A regular expression that is compiled on its first use: together they take milliseconds."""

    def __init__(self, text: str, flags: int) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(self._text, self._flags), name)
        setattr(self, name, value)  # found there the next time
        return value


def _pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    return cast("re.Pattern[str]", _Pattern(text, flags))


# The words that make a key of a secret one, in front of it.
_KEYS = (
    "api|access|private|secret|encryption|signing|account|shared|master|auth|storage|service"
    "|webhook|deploy|hmac|aes|stripe|openai|anthropic|azure|aws"
)
# Suffixes of names that come in several versions.
_WHICH = (
    *("prod", "production", "staging", "stage", "dev", "test", "live", "main", "default"),
    *("old", "new", "next", "previous", "current", "primary", "secondary", "fallback"),
    *("fallbacks", "backup", r"v\d+"),
)
_SENSITIVE = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|authorization|credentials?|_pat|_dsn"
    rf"|(?:{_KEYS})[_-]?key(?:_base)?)_?\d*(?:[_-](?:{'|'.join(_WHICH)}))?"
)
# One of these is in each of the names above, and a name in lower case is quicker to look for.
_WORDS = ("pass", "pwd", "secret", "token", "key", "authorization", "credential", "_pat", "_dsn")
_NAMED = _pattern(_SENSITIVE)
_WHICH_PART = _pattern("|".join(_WHICH))
# The names of variables, by their last part.
_LAST_PARTS = frozenset({
    "password", "passwd", "passphrase", "pass", "pwd", "pgpassword", "secret", "token", "pat",
    "dsn", "credential", "credentials", "authorization", "apikey", "accesskey", "privatekey",
    "secretkey", "passwords", "secrets", "passcode", "jwt",
})  # fmt: skip
_LISTED_KEYS = frozenset({"api", "access", "secret", "private"})
# Keys that are no secrets: of tables, caches, keyboards and the like.
_HARMLESS_KEYS = frozenset({
    "primary", "foreign", "public", "partition", "sort", "range", "hash", "row", "object", "cache",
    "idempotency", "routing", "group", "lookup", "index", "unique", "composite", "natural",
    "surrogate", "hot", "shortcut", "press", "dict", "map", "job", "event", "bucket",
    "translation", "message", "registry", "config", "host", "known", "gpg",
})  # fmt: skip
_PART = _pattern(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])")
# The schemes of the Authorization header, and those whose credentials are a list.
_SCHEMES = (
    *("bearer", "basic", "token", "apikey", "api-key", "key", "negotiate", "ntlm", "jwt", "bot"),
    *("ssws", "splunk", "sharedkey", "sharedkeylite", "dpop", "privatetoken"),
)
_LISTS = (
    *("digest", "hawk", "oauth", "mac", "signature", "vapid", "sharedaccesssignature"),
    *("aws4-hmac-sha256", "aws4-ecdsa-p256-sha256"),
)
# The userinfo of a URL: everything up to the last @ before a slash, since an unescaped password
# may hold an @ of its own. The scheme's length is bounded so that a long run of dotted words is
# not scanned once for each of them.
_USERINFO = _pattern(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]{0,30}://)(?P<user>[^\s:/@'\"]*):(?P<value>[^\s/'\"]+)@",
    re.IGNORECASE,
)
# A key may be quoted, subscripted (environ["TOKEN"] = ...) or, inside JSON inside a string, have
# its quotes escaped; a value may have a Python string prefix.
_KEY_VALUE = _pattern(
    # "unrecognized token: x" is what SQLite and JSON parsers say of text that they cannot read.
    r"(?P<key>(?<!unrecognized )(?<!unexpected )(?<!invalid )"
    rf"(?:(?P<header>authorization)|{_SENSITIVE})\\*[\"']?\]?"
    # An annotation of Python, an arrow of Ruby and PHP, the end of a tag of XML.
    r"(?:\s*(?::\s*(?:str|bytes|Secret(?:Str)?|(?:Optional|Final)\[str\]|str\s?\|\s?None)\s*="
    r"|=>|:=|[=:])\s*|(?<=\w)>(?=[^\s<]{1,500}</)))"
    rf"(?P<value>(?:{'|'.join(_LISTS)})[ ][^\r\n]+"
    rf"|(?(header)(?:[a-z][\w.-]*[ ]+)?|(?:(?:{'|'.join(_SCHEMES)})[ ]+)?)"
    r"(?:[\[(][^\[\]()\r\n]*[\])](?![^\s,;&'\"}\])])|\\+\"[^\"\\]*\\+\"|[rbfu]{0,2}\"(?:\\.|[^\"\\])*\""
    # A bracket ends a value that is not quoted, unless the value goes on behind it.
    r"|[rbfu]{0,2}'(?:\\.|[^'\\])*'|(?:[^\s,;&'\"}\])]|[}\])](?=[^\s,;&'\"}\]).:]))+))",
    re.IGNORECASE,
)
# Anybody can use a signed URL.
_SIGNED = _pattern(
    r"(?P<key>[?&;](?:[a-z-]{0,20}signature|sig|x-(?:amz|goog)-credential)=)(?P<value>[^\s&#'\"<>]+)",
    re.IGNORECASE,
)
_CURL = _pattern(
    r"(?P<key>\bcurl\b[^\n]{0,300}?[ ](?:-u|--user|--proxy-user|-U)[ =]?[\"']?[^\s:'\"]{1,100}:)"
    r"(?P<value>[^\s'\"]+)"
)
# A value of letters alone, or in capitals, is a word of a text about the option.
_OPTION = _pattern(
    rf"(?P<key>(?<!\S)--(?:[a-z]+-)*{_SENSITIVE}[ ]+[\"']?)"
    r"(?P<value>(?![A-Z_]+\b|[-<\[{$])(?=\S*[^\sA-Za-z.,;:'\"`)\]])[^\s'\"]+)"
)
_SET = _pattern(
    rf"(?P<key>\b(?:setdefault|putenv|setenv)\(\s*[\"'][\w-]{{0,60}}?{_SENSITIVE}[\"']\s*,\s*)"
    r"[\"'](?P<value>[^\"'\r\n]+)",
    re.IGNORECASE,
)
_COOKIE = _pattern(
    r"(?P<key>\b(?:set-)?cookie\\*[\"']?\s*:\s*\\*[\"']?[\w.-]+=)(?P<value>[^\r\n\"']+)",
    re.IGNORECASE,
)
# A password that a statement gives to a user, and the key of an encrypted database.
_SQL = _pattern(
    r"(?P<key>\bidentified\s+(?:with\s+\S{1,60}\s+)?(?:by|as)\s+(?:password\s+)?"
    r"|\b(?:create|alter|grant|set)\b[^;]{0,200}?\bpassword(?:\s*\(\s*|\s+)"
    r"|\bpragma\s+(?:hex)?(?:re)?key\s*=\s*)"
    # Of MySQL, with a backslash before a quote; of the standard; or cut off.
    r"(?P<value>[en]?'(?:''|\\.|[^'\\])*'|[en]?'(?:''|[^'])*'|[en]?'[^']*\Z)",
    re.IGNORECASE,
)
_AS = _pattern(r"'(?:::\w+)?\s+as\s", re.IGNORECASE)
# A literal that a statement names as a secret.
_SQL_NAMED = _pattern(
    r"(?P<value>'(?:''|\\.|[^'\\])*')(?P<key>(?:::\w+)?\s+as\s+[\"`\[]?"
    rf"(?:\w{{0,60}}?_)??{_SENSITIVE}\b)",
    re.IGNORECASE,
)
# A hint that shows how something is written, with words in the place of secrets.
_TEMPLATE = _pattern(r"(?:\w+://)?[A-Z]+:(?:TOKEN|PASSWORD)@HOST\S*")
# A password with a slash of its own, which drivers accept; digits before it would be a port.
# Looked for in what stands before an @: to look for the @ from every :// would be quadratic.
_SLASHED = _pattern(r"://[^\s:/@]*:(?!\d+/)")
_BEARER = _pattern(r"\b(?P<kind>bearer|basic) (?P<value>[A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE)
# Tokens that are known by how they begin; whose they are, and their shape.
_TOKENS = {
    "GitHub": r"gh[pousr]_[A-Za-z0-9]{20,}",
    "GitHub, fine-grained": r"github_pat_\w{20,}",
    "GitLab": r"glpat-[\w-]{20,}",
    "OpenAI, Anthropic and others": r"sk-[A-Za-z0-9_-]{20,}",
    "Stripe": r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    "Slack": r"xox[abeprs]-[A-Za-z0-9-]{10,}",
    "Hugging Face": r"hf_[A-Za-z0-9]{30,}",
    "npm": r"npm_[A-Za-z0-9]{30,}",
    "PyPI": r"pypi-[\w-]{50,}",
    "Google": r"AIza[\w-]{35}",
    "AWS": r"A[KS]IA[0-9A-Z]{16}",
    "Slack, a hook": r"hooks\.slack\.com/services/T\w{6,}/B\w{6,}/\w{16,}",
    "Discord, a hook": r"discord(?:app)?\.com/api/webhooks/\d{15,}/[\w-]{30,}",
    "SendGrid": r"SG\.[\w-]{20,}\.[\w-]{20,}",
    "DigitalOcean": r"do[opr]_v1_[a-f0-9]{64}",
    "HashiCorp Vault": r"hv[sb]\.[\w-]{24,}",
    "JWT": r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
}
_PRIVATE_KEY = (
    r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY-----"
    r"(?:(?:[^-]|-(?!----))*-----END [A-Z ]*PRIVATE KEY-----)?"
)
_KNOWN_SHAPES = _pattern(rf"(?P<value>\b(?:{'|'.join(_TOKENS.values())})|{_PRIVATE_KEY})")
# No text with fewer characters matches one of the last two patterns: "basic " and 8 more do.
_SHORTEST_TOKEN = 14

PATTERNS = {
    "password in a URL": _USERINFO,
    "known token": _KNOWN_SHAPES,
    "authorization header": _BEARER,
    "secret value": _KEY_VALUE,
    "signed URL": _SIGNED,
    "login of curl": _CURL,
    "option of a command": _OPTION,
    "variable of the environment": _SET,
    "cookie": _COOKIE,
    "password in SQL": _SQL,
    "literal with a secret name in SQL": _SQL_NAMED,
}
"""The pattern of each kind of secret; its group ``value`` is the secret."""


def redact(text: str) -> str:
    """Mask passwords in URLs, values of secret-like keys, and tokens.

    >>> redact("postgresql://ada:s3cret@db/app?password=x")
    'postgresql://ada:••••••@db/app?password=••••••'
    """
    # Most texts are a word or two, which a search would cost more than all else done with them.
    # Functions, since a template is looked up on every call, match or not.
    if "://" in text:
        text = _USERINFO.sub(_masked_login, text)
    if ("=" in text or ":" in text or ">" in text) and _may_name_a_secret(text):
        text = _KEY_VALUE.sub(_masked_value, text)
    if "=" in text:
        text = _SIGNED.sub(_masked_value, text)
    if "ookie" in text or "OOKIE" in text:
        text = _COOKIE.sub(_masked_value, text)
    if "env(" in text or "setdefault(" in text:
        text = _SET.sub(_masked_value, text)
    if "--" in text:
        text = _OPTION.sub(_masked_value, text)
    if "curl" in text:
        text = _CURL.sub(_masked_value, text)
    if len(text) < _SHORTEST_TOKEN:
        return text
    if "'" in text:
        text = _masked_literals(text)
    text = _BEARER.sub(lambda found: f"{found['kind']} {MASK}", text)
    return _KNOWN_SHAPES.sub(MASK, text)


def _masked_literals(text: str) -> str:
    text = _SQL.sub(_masked_value, text)
    if _AS.search(text) and _may_name_a_secret(text):
        text = _SQL_NAMED.sub(lambda found: f"'{MASK}'{found['key']}", text)
    return text


def _masked_login(found: re.Match[str]) -> str:
    if found["value"] in {"TOKEN", "PASSWORD"} and found["user"].isupper():
        return found.group()  # a template
    return f"{found['scheme']}{found['user']}:{MASK}@"


def _masked_value(found: re.Match[str]) -> str:
    return found.group() if _TEMPLATE.fullmatch(found["value"]) else found["key"] + MASK


def brief(data: bytes, redactor: Callable[[str], str] = redact, most: int = 300) -> str:
    """Return the start of a JSON text for a log line, masked, with a mark where it was cut.

    >>> brief(b'{"password": "hunter22"}'), brief(b"[1, 2, 3]", most=4)
    ('{"password": ••••••}', '[1, …')
    """
    # A secret that is cut in two is not known for one: more is masked than is kept.
    text = redactor(data[: 32 * most].decode("utf-8", "replace"))
    return text if len(text) <= most and len(data) <= 32 * most else f"{text[:most]}…"


def _may_name_a_secret(text: str) -> bool:
    """Return whether a text may contain the name of a secret; cheaper than a search for it."""
    if not text.isascii():
        return True  # what is the same in upper and lower case is the pattern's to say there
    text = text.lower()
    for word in _WORDS:
        if word in text:
            return _NAMED.search(text) is not None
    return False


def is_secret_name(variable: str) -> bool:
    """Return whether the name of an environment variable stands for a secret.

    >>> [is_secret_name(name) for name in ("DB_PASSWORD", "OPENAI_KEY", "PRIMARY_KEY", "TOKENS")]
    [True, True, False, False]
    """
    # The shell's working directories are named as passwords are.
    if variable in {"PWD", "OLDPWD"}:
        return False
    parts = [part.lower() for part in _PART.split(variable) if not part.isdigit() and part]
    if not parts:
        return False
    while len(parts) > 1 and _WHICH_PART.fullmatch(parts[-1]):
        parts.pop()
    last, before = parts[-1].rstrip("0123456789"), parts[-2:-1]
    if last in _LAST_PARTS:
        return True
    if last == "base":
        return parts[-3:-1] == ["secret", "key"]
    if last == "keys":
        return bool(before) and before[0] in _LISTED_KEYS
    return last == "key" and bool(before) and before[0] not in _HARMLESS_KEYS


def has_password(url: str) -> bool:
    """Return whether a URL has a password in it.

    >>> has_password("postgresql://ada:s3cret@db/app"), has_password("postgresql://ada@db/app")
    (True, False)
    """
    return redact(url) != url or _has_slashed_password(url)


def _has_slashed_password(text: str) -> bool:
    if "://" not in text:
        return False
    before = (part for word in text.split() for part in word.split("@")[:-1])
    return any(map(_SLASHED.search, before))


@refuse_unknown("core")
class Redactor:
    """Masks known secret values and text that looks like a secret.

    Parameters
    ----------
    secrets
        Known secret values. Those under four characters are not looked for in
        text: masking every ``a`` would hide the text and show the secret.

    Examples
    --------
    >>> Redactor(["hunter22"])("the reply was hunter22")
    'the reply was ••••••'
    """

    _SHORTEST = 4

    def __init__(self, secrets: list[str] | None = None) -> None:
        self._values: set[str] = set()
        self._longest_first: list[str] = []
        for value in secrets or []:
            self.add(value)

    def add(self, value: str) -> None:
        """Add a value to mask."""
        if len(value) >= self._SHORTEST:
            self._values.add(value)

    def begun(self, text: str) -> int:
        """Return how many characters at the end of a text may begin a known secret.

        A text that comes in pieces is shown without them until the next piece.

        >>> Redactor(["hunter22"]).begun("it is hunt"), Redactor(["hunter22"]).begun("it is h")
        (4, 0)
        """
        found = 0
        for value in self._values:
            for size in range(min(len(value) - 1, len(text)), max(found, self._SHORTEST - 1), -1):
                if text.endswith(value[:size]):
                    found = size
                    break
        return found

    def __call__(self, text: str) -> str:
        """Return the text with every secret masked."""
        if len(self._longest_first) != len(self._values):
            self._longest_first = sorted(self._values, key=len, reverse=True)
        for value in self._longest_first:
            if value in text:
                text = text.replace(value, MASK)
        return redact(text)

    def __repr__(self) -> str:
        return f"Redactor({len(self._values)} known values)"


@refuse_unknown("core")
class Secret:
    """A secret value: only `reveal` shows it.

    Its repr, str, html and format are masked, and it refuses to be pickled.

    >>> Secret("hunter22")
    Secret(••••••)
    >>> Secret("hunter22").reveal()
    'hunter22'
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def _repr_html_(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: pass it on as an environment variable")
