"""Which engine is meant: DOCKER_HOST, else DOCKER_CONTEXT, else docker's own choice."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Endpoint", "find", "how_to_start", "not_docker"]

_DEFAULT = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of an engine.

    Parameters
    ----------
    url
        ``unix://``, ``tcp://``, ``http://`` or ``https://``.
    source
        Where that comes from: ``"DOCKER_HOST"``, a context's name, ``"default"``.
    tls
        The paths of certificates, as ``docker.tls.TLSConfig`` takes them; empty for none.
    """

    url: str
    source: str
    tls: dict[str, Any] = field(default_factory=dict)


def find(host: str | None, context: str | None) -> Endpoint:
    """Return the engine that is meant.

    As with the ``docker`` command, a host wins over a context, and without either it is the
    context that was chosen with ``docker context use``.

    Raises
    ------
    ConfigError
        There is no such context, or the address cannot be used.
    """
    if host:
        return _usable(Endpoint(host, "DOCKER_HOST", _tls_of_environment()))
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    name = context or _current(get_current_context_name)
    if not name or name == "default":
        return Endpoint(_DEFAULT, "default")
    try:
        found = ContextAPI.get_context(name)
    except Exception as error:
        raise ConfigError(
            f"the docker context {name!r} cannot be read: {error}",
            service="docker",
            hint="docker context inspect, in a terminal",
        ) from error
    if found is None:
        known = [one.Name for one in ContextAPI.contexts()]
        raise ConfigError(
            f"there is no docker context {name!r}",
            service="docker",
            hint=did_you_mean(name, known) or f"DOCKER_CONTEXT is one of: {', '.join(known)}",
        )
    return _usable(Endpoint(found.Host or _DEFAULT, f"context {name}", _tls_of_context(found)))


def how_to_start(endpoint: Endpoint) -> str:
    """Return the hint for an engine that does not answer."""
    if endpoint.source == "default" and sys.platform == "darwin":
        return "open Docker Desktop, or set DOCKER_HOST to an engine that runs"
    if endpoint.url.startswith("unix://"):
        path = endpoint.url.removeprefix("unix://")
        if os.path.exists(path) and not os.access(path, os.W_OK):  # noqa: PTH110 - the name is all there is
            return f"you may not write to {path}: sudo usermod -aG docker $USER, and log in again"
        return "start one: sudo systemctl start docker (or sudo dockerd), or set DOCKER_HOST"
    return f"is {endpoint.source} right, and does the engine listen at {endpoint.url}?"


def not_docker(version: Mapping[str, Any]) -> str | None:
    """Return the refusal of an engine that is not Docker's; None for Docker's.

    Podman's ``/version`` names it among the components, as "Podman Engine" (tried with 4.3.1).
    """
    for part in version.get("Components") or ():
        if str(part.get("Name", "")).lower().startswith("podman"):
            return (
                f"Podman {part.get('Version')}, which is not supported: it lists images under "
                "other names, so that none counts as this home's, and adds limits of its own to "
                "those of a policy"
            )
    return None


def _current(read: Any) -> str | None:
    try:
        return read()  # type: ignore[no-any-return]
    except Exception as error:
        raise ConfigError(
            f"docker's config.json cannot be read: {error}",
            service="docker",
            hint="mend it, or set DOCKER_HOST",
        ) from error


def _usable(endpoint: Endpoint) -> Endpoint:
    scheme = endpoint.url.partition("://")[0]
    if scheme == "ssh":
        raise ConfigError(
            f"an engine over ssh is not reached directly ({endpoint.source})",
            service="docker",
            hint="forward its socket: ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST, "
            "then DOCKER_HOST=unix:///tmp/docker.sock",
        )
    if scheme not in {"unix", "tcp", "http", "https"}:
        raise ConfigError(
            f"{endpoint.url!r} is not the address of an engine ({endpoint.source})",
            service="docker",
            hint="unix:///path/docker.sock or tcp://host:2376",
        )
    if scheme != "unix" and "@" in endpoint.url:
        raise ConfigError(
            f"the address of an engine takes no user and no password ({endpoint.source})",
            service="docker",
            hint="tcp://host:2376, with certificates in DOCKER_CERT_PATH",
        )
    return endpoint


def _tls_of_environment() -> dict[str, Any]:
    """Return the TLS settings of docker's own two variables; names of files, no secrets."""
    folder = os.environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")  # noqa: PTH111 - may not be there
    verify = os.environ.get("DOCKER_TLS_VERIFY", "")
    if not verify and not os.environ.get("DOCKER_CERT_PATH"):
        return {}
    return {
        "client_cert": (f"{folder}/cert.pem", f"{folder}/key.pem"),
        "ca_cert": f"{folder}/ca.pem",
        "verify": bool(verify),
    }


def _tls_of_context(context: Any) -> dict[str, Any]:
    config = context.TLSConfig
    if not config:
        return {}
    return {"client_cert": config.cert, "ca_cert": config.ca_cert, "verify": config.verify}
