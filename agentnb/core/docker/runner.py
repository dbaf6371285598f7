"""Running: containers that go on, containers to their end, programs inside of one."""

from __future__ import annotations

import posixpath
from contextlib import contextmanager
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING, Any

from agentnb.core.docker.attach import attached, executed
from agentnb.core.docker.containers import Containers, container_of
from agentnb.core.docker.copying import archive_of, work_folder
from agentnb.core.docker.logs import collect
from agentnb.core.docker.options import checked
from agentnb.core.docker.owner import POLICY
from agentnb.core.docker.policy import POLICIES
from agentnb.core.docker.results import ExecResult, RunResult
from agentnb.core.docker.running import (
    Watchdog,
    aliases,
    configuration,
    environment,
    interpreter,
    new_name,
    start,
)
from agentnb.core.docker.session import remove
from agentnb.core.errors import DeadlineExceeded, NotFoundError, RejectedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from agentnb.core.docker.engine import Engine
    from agentnb.core.docker.images import Images
    from agentnb.core.docker.logs import LogLine
    from agentnb.core.docker.networks import Networks
    from agentnb.core.docker.options import ContainerOptions
    from agentnb.core.docker.policy import Policy
    from agentnb.core.docker.results import Container
    from agentnb.core.docker.session import Session

__all__ = ["Runner"]

_SCRIPT = ".script"
_GRACE = 10.0
_KILLED = 137
_LATE_WORD = 1.0  # seconds
_NO_PROGRAM = (126, 127)
_INIT = "[FATAL tini"


class Runner:
    """Creates and runs an owner's containers; the calls are those of `DockerManager`.

    Parameters
    ----------
    engine, session, images, containers, networks
        The engine, the session, and the objects of the owner.
    roots
        The folders that files of the host's must be in.
    """

    def __init__(
        self,
        engine: Engine,
        session: Session,
        images: Images,
        containers: Containers,
        networks: Networks,
        roots: Sequence[Path],
    ) -> None:
        self._engine, self._session, self._images = engine, session, images
        self._containers, self._networks, self._roots = containers, networks, roots

    def run(
        self,
        image: str,
        command: Sequence[str] | None,
        requested: ContainerOptions,
        files: Mapping[str, Any],
    ) -> Container:
        """Start one."""
        found = self._create(image, command, requested, files)
        try:
            start(self._engine, found, image)
        except BaseException:
            remove(self._engine, found)
            raise
        described = self._engine.call(
            "inspect", lambda api: api.inspect_container(found), idempotent=True
        )
        return container_of(described)

    def _create(
        self,
        image: str,
        command: Sequence[str] | None,
        requested: ContainerOptions,
        files: Mapping[str, Any],
        *,
        stdin: bool = False,
    ) -> str:
        with self._engine.logs_failure("container failed to start", image=image):
            return self._created(image, command, requested, files, stdin=stdin)

    def _created(
        self,
        image: str,
        command: Sequence[str] | None,
        requested: ContainerOptions,
        files: Mapping[str, Any],
        *,
        stdin: bool,
    ) -> str:
        archive = archive_of(files, self._roots) if files else b""
        known = self._images.find(image)
        name = requested.name or new_name(image)
        network = None
        if requested.network is not None:
            network = self._networks.described(self._networks.find(requested.network))["Name"]
        config = configuration(
            known, name, command, requested, self._session.owner, network=network, stdin=stdin
        )
        self._session.watch()  # before there is one to remove
        with _other_platform(requested.platform):
            made = self._engine.call(
                "create",
                lambda api: api.create_container_from_config(config, name, requested.platform),
                image=image,
                policy=requested.policy.name,
            )
        container: str = made["Id"]
        try:
            if network is not None and requested.ports:
                self._engine.call(
                    "connect",
                    lambda api: api.connect_container_to_network(
                        container, network, aliases=aliases(requested)
                    ),
                    network=requested.network,
                )
            if requested.work:
                parent, name = posixpath.split(requested.work)
                self._send(container, parent, work_folder(name))
                if archive:
                    self._send(container, requested.work, archive)
        except BaseException:
            remove(self._engine, container)
            raise
        return container

    def _send(self, container: str, to: str, archive: bytes) -> None:
        self._engine.call("put", lambda api: api.put_archive(container, to, archive))

    def run_to_end(
        self,
        image: str,
        command: Sequence[str] | None,
        requested: ContainerOptions,
        files: Mapping[str, Any],
        *,
        script: str | None,
        stdin: bytes | None,
        timeout: float | None,
        limit: int,
        on_line: Callable[[LogLine], object] | None,
    ) -> RunResult:
        """Run one to its end and remove it."""
        if script is not None:
            files = {**files, _SCRIPT: script}
            command = [*interpreter(script), f"{requested.work}/{_SCRIPT}"]
        container = self._create(image, command, requested, files, stdin=stdin is not None)
        try:
            # Before the start, so that nothing is missed; one that follows a log can miss its end.
            wire = attached(self._engine, container, stdin=stdin is not None)
            begun = perf_counter()
            silence = None if timeout is None else timeout + _GRACE
            with wire, Watchdog(self._engine, container, timeout) as watchdog:
                start(self._engine, container, image)
                if stdin is not None:
                    wire.send(stdin)
                lines = wire.lines(tty=requested.tty, timeout=silence)
                logs = collect(_reporting(lines, on_line), limit)
                code = self._engine.call(
                    "wait", lambda api: int(api.wait(container, timeout=silence)["StatusCode"])
                )
            seconds = perf_counter() - begun
            for_memory = self._for_memory(container, sure=code != _KILLED or watchdog.expired)
        finally:
            remove(self._engine, container)
        ended = {"image": image, "id": container, "exit_code": code, "seconds": round(seconds, 3)}
        self._engine.log.debug("container ended: exit code %d", code, extra={"data": ended})
        if code in _NO_PROGRAM and logs.stderr.startswith(_INIT):
            program = logs.stderr.partition("exec ")[2].strip()
            raise NotFoundError(
                f"there is no such program in the image: {program}",
                service="docker",
                hint="is its name right? Give words, or a shell: sh -c '...'",
            )
        if watchdog.expired and code == _KILLED:
            last = logs.end(5)
            raise DeadlineExceeded(
                f"it ran longer than {timeout:g} s and was killed" + (f":\n{last}" if last else ""),
                service="docker",
                hint="timeout= gives it more",
            )
        return RunResult(code, logs, oom_killed=for_memory, seconds=seconds)

    def _for_memory(self, container: str, *, sure: bool) -> bool:
        """Return whether something in a container that has ended was killed for want of memory.

        The engine hears of that beside the end, and now and then after it: unless it is sure why
        it ended, it is asked again for a moment.
        """
        until = monotonic() if sure else monotonic() + _LATE_WORD
        while True:
            state = self._engine.call(
                "inspect", lambda api: api.inspect_container(container), idempotent=True
            )["State"]
            if state["OOMKilled"] or monotonic() >= until:
                return bool(state["OOMKilled"])
            sleep(_LATE_WORD / 25)

    def exec(
        self,
        name: str,
        command: Sequence[str],
        options: Mapping[str, Any],
        policies: Iterable[Policy],
        *,
        stdin: bytes | None,
        timeout: float | None,
        limit: int,
        on_line: Callable[[LogLine], object] | None,
    ) -> ExecResult:
        """Run another program in one."""
        if not command:
            raise UsageError(
                "the command is empty", service="docker", hint="exec(container, ['ls', '-l'])"
            )
        with self._engine.logs_failure("exec failed", container=name):
            result = self._executed(
                name,
                command,
                options,
                policies,
                stdin=stdin,
                timeout=timeout,
                limit=limit,
                on_line=on_line,
            )
        data = {"container": name, "exit_code": result.exit_code}
        self._engine.log.debug(
            "exec in container %s: exit code %d", name, result.exit_code, extra={"data": data}
        )
        return result

    def _executed(
        self,
        name: str,
        command: Sequence[str],
        options: Mapping[str, Any],
        policies: Iterable[Policy],
        *,
        stdin: bytes | None,
        timeout: float | None,
        limit: int,
        on_line: Callable[[LogLine], object] | None,
    ) -> ExecResult:
        found = self._containers.described(name)
        allowed = [one for one in policies if one.name == found["Config"]["Labels"].get(POLICY)]
        # Of a policy that is not known here nothing more is allowed than of the strictest.
        requested = checked(options, allowed or [POLICIES["isolated"]])
        made = self._engine.call(
            "exec",
            lambda api: api.exec_create(
                found["Id"],
                list(command),
                stdin=stdin is not None,
                environment=environment(requested),
                user=requested.user or "",
                workdir=requested.workdir,
            ),
            container=name,
        )
        with executed(self._engine, made["Id"]) as wire:
            if stdin is not None:
                wire.send(stdin)
            logs = collect(_reporting(wire.lines(tty=False, timeout=timeout), on_line), limit)
        code = self._engine.call(
            "exec", lambda api: api.exec_inspect(made["Id"])["ExitCode"], idempotent=True
        )
        return ExecResult(-1 if code is None else int(code), logs)


@contextmanager
def _other_platform(platform: str | None) -> Iterator[None]:
    """Explain the error of an engine that has the image for another platform only."""
    try:
        yield
    except NotFoundError as error:
        if platform is None or "platform" not in error.message:
            raise
        raise RejectedError(
            error.message,
            service="docker",
            hint=f"build or pull the image for {platform}, or leave the platform away",
        ) from error


def _reporting(
    lines: Iterable[LogLine], on_line: Callable[[LogLine], object] | None
) -> Iterator[LogLine]:
    for line in lines:
        if on_line is not None:
            on_line(line)
        yield line
