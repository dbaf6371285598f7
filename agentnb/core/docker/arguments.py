"""The keyword arguments of containers, for type checkers and for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal
    from pathlib import PurePath

    from agentnb.core.docker.logs import LogLine
    from agentnb.core.docker.networks import Network
    from agentnb.core.redact import Secret

    Path: TypeAlias = str | os.PathLike[str]
    Text: TypeAlias = str | float | Decimal | PurePath

__all__ = ["ContainerArguments", "ExecArguments", "LogArguments", "Pull", "ServiceArguments"]

Pull: TypeAlias = Literal["never", "missing", "always"]
"""When an image is fetched."""


class ContainerArguments(TypedDict, total=False):
    """The options of a container, each as `DockerManager.run_container` says; None for none."""

    policy: str | None
    name: str | None
    env: Mapping[str, Text | Secret] | None
    env_file: Path | Sequence[Path] | None
    user: str | None
    workdir: Path | None
    work: bool | Path | None
    memory: int | str | None
    cpus: float | None
    pids: int | None
    ports: Mapping[int, int | None] | Iterable[int] | None
    labels: Mapping[str, Text] | None
    entrypoint: str | Sequence[str] | None
    network: Network | str | None
    alias: str | None
    platform: str | None
    tty: bool | None
    keep: bool | None


class ServiceArguments(ContainerArguments, total=False):
    """The options of the container of a service."""

    pull: Pull | None


class LogArguments(TypedDict, total=False):
    """The keyword arguments of `Service.logs`, each as `DockerManager.get_container_logs` says."""

    since: float | None
    tail: int | None
    stdout: bool
    stderr: bool
    limit: int


class ExecArguments(TypedDict, total=False):
    """The keyword arguments of `Service.exec`, each as `DockerManager.exec` says."""

    env: Mapping[str, str] | None
    env_file: Path | Sequence[Path] | None
    stdin: str | bytes | None
    user: str | None
    workdir: str | None
    timeout: float | None
    limit: int
    on_line: Callable[[LogLine], object] | None
