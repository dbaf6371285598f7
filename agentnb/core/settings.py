"""Where every connection string, secret and limit comes from.

Arguments win over the environment, and the environment over ``.env``; every value knows
its source. ``.env`` is read, never written into ``os.environ``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError, UsageError, did_you_mean
from agentnb.core.redact import MASK, Redactor, Secret, is_secret_name, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentnb.core.table import Table

__all__ = ["FIELDS", "Field", "Settings", "Value"]

_LONG_ENOUGH = 8
_MARKERS = (".agentnb", ".env", ".git")


@dataclass(frozen=True, slots=True)
class Field:
    """One setting: the attribute, the variable it is read from, how it is parsed.

    Parameters
    ----------
    name
        The attribute of `Settings` and the keyword of ``agentnb.connect``.
    variable
        The environment variable.
    default
        Text used when nothing else gives the value; None for no value.
    parse
        Turns text into the value; raises ValueError with what it wants.
    secret
        Never shown, not even in part.
    about
        One line for the people who read ``%agentnb config``.
    """

    name: str
    variable: str
    default: str | None
    about: str
    parse: Callable[[str], object] = str
    secret: bool = False


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError("a number of seconds above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("a whole number above 0")
    return value


FIELDS: tuple[Field, ...] = (
    Field("home", "AGENTNB_HOME", ".agentnb", "the SQLite file, the logs, what agentnb keeps"),
    Field("workspace", "AGENTNB_WORKSPACE", "workspace", "the folder that agents write to"),
    Field("database_url", "DATABASE_URL", None, "the default database; empty: a SQLite file"),
    Field("redis_url", "REDIS_URL", None, "the Redis or Valkey that machines share"),
    Field("github_token", "GITHUB_TOKEN", None, "for the GitHub API", secret=True),
    Field("key_prefix", "AGENTNB_KEY_PREFIX", "agentnb", "separates those who share a server"),
    Field("db_timeout", "AGENTNB_DB_TIMEOUT", "30", "seconds a statement may take", _seconds),
    Field("db_rows", "AGENTNB_DB_ROWS", "1000", "rows a query returns unless told", _count),
    Field("db_pool", "AGENTNB_DB_POOL", "5", "connections kept open to a database", _count),
)
_BY_NAME = {field.name: field for field in FIELDS}
# Read by the test suite and the command line, so not a misspelling of a setting.
_OTHER_VARIABLES = {
    "AGENTNB_REQUIRE",
    "AGENTNB_EXPECT_INSTALLED",
    "AGENTNB_SCREENSHOTS",
}


@dataclass(frozen=True, slots=True)
class Value:
    """A setting's text and where it came from: an argument, the environment, a file, a default."""

    text: str | None
    source: str


class Settings:
    """The settings of one hub, each with its source.

    Build it with `Settings.load`. Attributes are the names in `FIELDS`; paths are
    absolute, durations seconds.

    Examples
    --------
    >>> settings = Settings.load(home="/tmp/demo", environ={"DATABASE_URL": "sqlite:///a.db"})
    >>> settings.source("home"), settings.source("database_url")
    ('argument', 'environment')
    """

    home: Path
    workspace: Path
    database_url: str | None
    redis_url: str | None
    github_token: Secret | None
    key_prefix: str
    db_timeout: float
    db_rows: int
    db_pool: int

    def __init__(
        self, root: Path, values: dict[str, Value], variables: Mapping[str, Value]
    ) -> None:
        self.root = root
        self._values = values
        self._variables = variables
        for field in FIELDS:
            setattr(self, field.name, self._parse(field, values[field.name]))
        self.redactor = Redactor()
        for value in values.values():
            for word in _passwords(value.text):
                self.redactor.add(word)
        if self.github_token:
            self.redactor.add(self.github_token.reveal())

    @classmethod
    def load(
        cls,
        *,
        start: str | Path | None = None,
        environ: Mapping[str, str] | None = None,
        **arguments: str | Path | float | None,
    ) -> Settings:
        """Collect the settings.

        Parameters
        ----------
        start
            The folder from which the project's root is looked for upwards; default:
            the working directory.
        environ
            Stands for ``os.environ``, which is the default.
        **arguments
            Values by the names in `FIELDS`; None counts as not given.

        Raises
        ------
        UsageError
            An argument of a name that is not a setting.
        ConfigError
            A malformed ``.env`` or a value that cannot be used, with its source.
        """
        for name in arguments:
            if name not in _BY_NAME:
                raise UsageError(
                    f"no such setting: {name}",
                    service="settings",
                    hint=did_you_mean(name, _BY_NAME) or f"settings: {', '.join(_BY_NAME)}",
                )
        root = find_root(Path(start) if start else Path.cwd())
        env = os.environ if environ is None else environ
        variables = _dotenv(root / ".env")
        variables |= {name: Value(text, "environment") for name, text in env.items()}
        values = {}
        for field in FIELDS:
            given = arguments.get(field.name)
            if given is not None:
                values[field.name] = Value(str(given), "argument")
            else:
                found = variables.get(field.variable)
                # An empty variable means "not set" everywhere but for the key prefix,
                # where empty is a choice of its own: bare names.
                keep = found is not None and (found.text or field.name == "key_prefix")
                default = Value(field.default, "default")
                values[field.name] = found if found is not None and keep else default
        return cls(root, values, variables)

    def _parse(self, field: Field, value: Value) -> object:
        if value.text is None:
            return None
        if field.name in {"home", "workspace"}:
            return self.resolve(value.text)
        if field.secret:
            return Secret(value.text)
        try:
            return field.parse(value.text)
        except ValueError as error:
            wanted = str(error) if field.parse is not str else "text"
            raise ConfigError(
                f"{field.variable} cannot be {value.text!r} (from {value.source})",
                service="settings",
                hint=f"{field.about}: {wanted}",
            ) from error

    def resolve(self, path: str | Path) -> Path:
        """Return an absolute path; a relative one is relative to the project's root."""
        return self.root / Path(path).expanduser()

    def source(self, name: str) -> str:
        """Return where a setting came from: argument, environment, a ``.env`` path or default."""
        return self._values[name].source

    def variable(self, name: str) -> Secret:
        """Return any variable of the environment or ``.env``, such as another database's URL.

        Raises
        ------
        ConfigError
            There is no such variable, or it is empty.
        """
        value = self._variables.get(name)
        if value is None or not value.text:
            raise ConfigError(
                f"the variable {name} is not set",
                service="settings",
                hint=did_you_mean(name, self._variables)
                or f"set it in the environment, or as {name}=... in {self.root / '.env'}",
            )
        for word in _passwords(value.text):
            self.redactor.add(word)
        return Secret(value.text)

    def secrets(self) -> list[str]:
        """Return every value known to be secret, for those who have to look for it in a text.

        Passwords in URLs, and values of at least eight characters whose variable's name says so.
        """
        values = [*self._values.values(), *self._variables.values()]
        found = [password for value in values for password in _passwords(value.text)]
        named = [v.text or "" for name, v in self._variables.items() if is_secret_name(name)]
        token = [self.github_token.reveal()] if self.github_token else []
        return list(dict.fromkeys([*found, *token, *(t for t in named if len(t) >= _LONG_ENOUGH)]))

    def unknown_variables(self) -> list[str]:
        """Return the ``AGENTNB_*`` variables that are set and mean nothing: misspellings."""
        known = {field.variable for field in FIELDS} | _OTHER_VARIABLES
        return sorted(v for v in self._variables if v.startswith("AGENTNB_") and v not in known)

    def table(self) -> Table:
        """Return name, value and source of every setting, secrets masked."""
        from agentnb.core.table import Table

        rows = []
        for field in FIELDS:
            value = self._values[field.name]
            shown = "not set" if value.text is None else redact(value.text)
            if value.text and field.secret:
                shown = MASK
            rows.append((field.variable, shown, value.source, field.about))
        names = [field.variable for field in FIELDS]
        for name in self.unknown_variables():
            hint = did_you_mean(name, names) or "not a setting of agentnb"
            rows.append((name, MASK, self._variables[name].source, hint))
        return Table(("variable", "value", "source", "about"), rows)

    def __repr__(self) -> str:
        return f"Settings(root={str(self.root)!r}, home={str(self.home)!r})"


def find_root(start: Path) -> Path:
    """Return the nearest folder upwards that holds ``.agentnb``, ``.env`` or ``.git``."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if any((folder / marker).exists() for marker in _MARKERS):
            return folder
    return start


def _passwords(url: str | None) -> list[str]:
    """Return the password in a URL as written and decoded, so that both are masked."""
    if not url or "://" not in url or "@" not in url:
        return []
    from urllib.parse import unquote

    userinfo = url.split("://", 1)[1].split("/", 1)[0].rpartition("@")[0]
    password = userinfo.partition(":")[2]
    return [password, unquote(password)] if password else []


def _dotenv(path: Path) -> dict[str, Value]:
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}",
            service="settings",
            hint="it is a text file in UTF-8, with NAME=value on each line",
        ) from error
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    for binding in parse_stream(StringIO(text)):
        if binding.error:
            raise ConfigError(
                f"{path}, line {binding.original.line}, is malformed",
                service="settings",
                hint="each line is NAME=value; quote a value that holds spaces or #",
            )
    values = dotenv_values(stream=StringIO(text))
    return {name: Value(value, str(path)) for name, value in values.items()}
