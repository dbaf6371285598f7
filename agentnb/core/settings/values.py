"""The settings of one hub, each with its source."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Unpack
from urllib.parse import unquote

from agentnb.core.errors import ConfigError, UsageError, did_you_mean
from agentnb.core.expand import expand
from agentnb.core.keywords import refuse_unknown
from agentnb.core.paths import refuse_workspace
from agentnb.core.redact import MASK, Redactor, Secret, is_secret_name
from agentnb.core.settings.fields import FIELDS, OTHER_VARIABLES, Value
from agentnb.core.settings.files import find_root, is_project, read_dotenv
from agentnb.core.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentnb.core.settings.arguments import SettingsArguments
    from agentnb.core.settings.fields import Field
    from agentnb.core.table import Table

__all__ = ["Settings"]

_LONG_ENOUGH = 8
_BY_NAME = {field.name: field for field in FIELDS}


def check_names(names: Iterable[str]) -> None:
    """Raise if one of some names is not that of a setting.

    Raises
    ------
    UsageError
        One is not.
    """
    for name in names:
        if name not in _BY_NAME:
            raise UsageError(
                f"no such setting: {name}",
                service="settings",
                hint=did_you_mean(name, _BY_NAME) or f"settings: {', '.join(_BY_NAME)}",
            )


@refuse_unknown("settings")
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
    github_url: str
    api_timeout: float
    api_max_bytes: int
    key_prefix: str
    docker_host: str | None
    docker_context: str | None
    docker_policies: tuple[str, ...]
    docker_memory: int
    docker_cpus: float
    docker_pids: int
    db_timeout: float
    db_rows: int
    db_max_bytes: int
    grid: str
    db_pool: int
    duck_dirs: tuple[str, ...] | None
    duck_memory: int
    log_level: int
    trace_bytes: int
    trace_days: float
    cache_wait: float
    cache_bytes: int
    events_log: int
    events_outbox: int
    events_payload: int
    file_size: int
    files_quota: int
    workspace_read_only: bool
    git_timeout: float
    git_protected: tuple[str, ...] | None
    git_filters: tuple[str, ...]
    git_credentials: Secret | None
    mcp_token: Secret | None
    llm: str | None
    llm_url: str | None
    llm_key: Secret | None
    serve_token: Secret | None
    queue_lease: float
    executor: str
    metrics: str | None
    otel: bool
    record: str
    queue_payload: int
    key_ttl: float
    queue_result_ttl: float
    workflow_lease: float
    workflow_payload: int

    def __init__(self, root: Path, values: dict[str, Value], environ: Mapping[str, str]) -> None:
        self.root = root
        self.in_project = is_project(root)
        """Whether the root holds a marker, and is not the start for want of one."""
        self._values = values
        self._environ = environ
        self._trust = Trust.of(environ)
        self._variables = _variables(root, environ, self._trust)
        for field in FIELDS:
            setattr(self, field.name, self._parse(field, values[field.name]))
        self.redactor = Redactor()
        for secret in self.secrets():
            self.redactor.add(secret)

    @classmethod
    def load(
        cls,
        *,
        start: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
        **arguments: Unpack[SettingsArguments],
    ) -> Settings:
        """Read the settings.

        Parameters
        ----------
        start
            The folder from which the project's root is looked for upwards; default:
            the working directory.
        environ
            Stands for ``os.environ``, which is the default.
        **arguments
            Values by the names in `FIELDS`; None counts as not given. Empty text stands
            for the default, but for ``key_prefix``.

        Raises
        ------
        UsageError
            An argument of a name that is not a setting.
        UntrustedPath
            The ``.env``, another marker of the root or the home belongs to another user, or
            can be written by one.
        ConfigError
            A malformed ``.env`` or a value that cannot be used, with its source.
        """
        check_names(arguments)
        env = os.environ if environ is None else environ
        trust = Trust.of(env)
        try:
            root = find_root(Path(start) if start else _working_directory(), trust)
        except (OSError, ValueError) as error:  # too long, or with a NUL or a lone surrogate
            raise UsageError(
                f"start is no folder: {error}",
                service="settings",
                hint="start=Path.cwd(), or another folder of the project",
            ) from error
        variables = _variables(root, env, trust)
        values = {}
        for field in FIELDS:
            argument = arguments.get(field.name)
            given = None if argument is None else Value(str(argument), "argument")
            value = given or variables.get(field.variable)
            # Empty means "the default" everywhere but for the key prefix, where it is a
            # choice of its own: bare names. A line of .env without = has no text at all.
            chosen = value is not None and (value.text or (field.empty and value.text == ""))
            default = Value(_default(field, variables), "default")
            values[field.name] = value if value is not None and chosen else default
        settings = cls(root, values, env)
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            trust.check(settings.home, service="settings", own=True)
        refuse_workspace(settings.workspace, settings.home)
        return settings

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
            raise ConfigError(
                f"{field.variable} must be {error}, got {value.text!r} (from {value.source})",
                service="settings",
                hint=f"{field.variable}: {field.about} (default: {field.default})",
            ) from error

    def resolve(self, path: str | Path) -> Path:
        """Return an absolute path; a relative one is relative to the project's root."""
        return self.root / expand(path, service="settings")

    def source(self, name: str) -> str:
        """Return the source of a setting: argument, environment, a ``.env`` path or default."""
        value = self._values.get(name) if isinstance(name, str) else None
        if value is None:
            raise UsageError(
                f"no such setting: {name!r:.60}",
                service="settings",
                hint=did_you_mean(name, self._values, "settings"),
            )
        return value.source

    def variable(self, name: str) -> Secret:
        """Return any variable of the environment or ``.env``, such as another database's URL.

        Both are read again, since a notebook may have changed them.

        Raises
        ------
        ConfigError
            There is no such variable, or it is empty.
        """
        variables = _variables(self.root, self._environ, self._trust)
        value = variables.get(name)
        if value is None or not value.text:
            raise ConfigError(
                f"the variable {name} is not set",
                service="settings",
                hint=did_you_mean(name, variables.keys() - {name})
                or f"set it in the environment, or in {self.root / '.env'}",
            )
        words = _passwords(value.text)
        for word in [*words, value.text] if is_secret_name(name) else words:
            self.redactor.add(word)
        return Secret(value.text)

    def secrets(self) -> list[str]:
        """Return every value that is known to be secret.

        Passwords in URLs, and values of at least eight characters whose variable's name says so.
        """
        values = [*self._values.values(), *self._variables.values()]
        found = [password for value in values for password in _passwords(value.text)]
        named = [v.text or "" for name, v in self._variables.items() if is_secret_name(name)]
        tokens = [one.reveal() for one in (self.github_token, self.llm_key) if one]
        return list(dict.fromkeys([*found, *tokens, *(t for t in named if len(t) >= _LONG_ENOUGH)]))

    def unknown_variables(self) -> list[str]:
        """Return the ``AGENTNB_*`` variables that are set but are no settings."""
        known = {field.variable for field in FIELDS} | OTHER_VARIABLES
        return sorted(v for v in self._variables if v.startswith("AGENTNB_") and v not in known)

    def table(self) -> Table:
        """Return name, value and source of every setting, secrets masked."""
        from agentnb.core.table import Table

        rows = []
        for field in FIELDS:
            value = self._values[field.name]
            shown = "not set" if value.text is None else self.redactor(value.text)
            if value.text and field.secret:
                shown = MASK
            rows.append((field.variable, shown, value.source, field.about))
        names = [field.variable for field in FIELDS]
        for name in self.unknown_variables():
            hint = did_you_mean(name, names) or "not a setting of agentnb"
            rows.append((name, MASK, self._variables[name].source, hint))
        return Table(("variable", "value", "source", "about"), rows, display=None)

    def __repr__(self) -> str:
        return f"Settings(root={str(self.root)!r}, home={str(self.home)!r})"


def _variables(root: Path, environ: Mapping[str, str], trust: Trust) -> dict[str, Value]:
    """Return the variables of ``.env`` and, before those, of the environment."""
    variables = dict(read_dotenv(root / ".env", trust))
    for name in list(environ):  # a thread that starts a process may take one away meanwhile
        text = environ.get(name)
        if text is not None:
            variables[name] = Value(text, "environment")
    return variables


def _default(field: Field, variables: Mapping[str, Value]) -> str | None:
    """Return a setting's default, which may depend on the JupyterHub user."""
    user = variables.get("JUPYTERHUB_USER")
    if field.name == "key_prefix" and user is not None and user.text:
        return f"{field.default}-{user.text}"  # the users of a JupyterHub often share a server
    return field.default


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise ConfigError(
            "the working directory no longer exists",
            service="settings",
            hint="change to one that does: %cd, or os.chdir(...)",
        ) from error


def _passwords(url: str | None) -> list[str]:
    """Return the password in a URL as written and decoded, so that both are masked."""
    if not url or "://" not in url or "@" not in url:
        return []
    rest = url.partition("://")[2]
    authority = rest.partition("/")[0]
    # A slash in a password should be encoded, yet drivers accept it as it is.
    userinfo = (authority if "@" in authority else rest).rpartition("@")[0]
    password = userinfo.partition(":")[2]
    return list(dict.fromkeys([password, unquote(password)])) if password else []
