"""``%docker``: containers and images; ``%%docker``: a Dockerfile or a script in the cell."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.magic import line_cell_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import AgentnbError, RejectedError, UsageError
from agentnb.magics.base import Magic, Message
from agentnb.magics.docker.grammar import GRAMMAR
from agentnb.magics.grammar import is_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.core.docker import (
        BuildResult,
        Container,
        DockerManager,
        ExecResult,
        Network,
        PullResult,
        RunResult,
        Service,
    )
    from agentnb.core.docker.logs import Logs
    from agentnb.core.table import Table
    from agentnb.magics.docker.live import Printer
    from agentnb.magics.grammar import Call

__all__ = ["DockerMagic"]

_T = TypeVar("_T")
_Result = TypeVar("_Result", bound="ExecResult")
_LOOK_AGAIN = 0.3
_OF_A_CONTAINER = (
    *("name", "env", "env_file", "memory", "cpus", "pids", "ports", "user", "workdir"),
    *("network", "alias", "platform", "entrypoint", "pull", "policy"),
)

# What docker's own command has behind `network`.
_OF_A_NETWORK = (
    "ls",
    "list",
    "create",
    "rm",
    "remove",
    "inspect",
    "prune",
    "connect",
    "disconnect",
)


@magics_class
class DockerMagic(Magic):
    """The magic ``%docker`` and ``%%docker``."""

    grammar = GRAMMAR

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def docker(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Containers and images; `%%docker run IMAGE` runs the cell. `%docker help` tells all."""
        return self.call(line, cell, local_ns)

    def reset(self) -> None:
        """There is no state of its own to go back from."""

    @property
    def _docker(self) -> DockerManager:
        return self.hub.docker

    def status(self, call: Call) -> Table:  # noqa: ARG002 - verbs share a signature
        """Return the engine and the counts of containers and images."""
        return self._docker.status()

    def free(self, call: Call, cell: str | None, namespace: Any) -> Any:  # noqa: ARG002 - as status
        """Refuse a cell without a verb."""
        raise UsageError(
            "%%docker needs a verb",
            service="docker",
            hint="%%docker build -t TAG over a Dockerfile, or %%docker run IMAGE over a script",
        )

    def live(self, kind: str, start: str = "") -> Iterable[str]:  # noqa: ARG002 - they are few
        """Return the names of containers, images or policies, for Tab."""
        if kind == "policy":
            return [policy.name for policy in self._docker.policies]
        try:
            return [name for name in self._docker.names(kind) if is_word(name)]
        except AgentnbError:
            return ()  # nobody is helped by an error while typing

    def do_ps(self, call: Call) -> Table:  # noqa: ARG002 - as status
        """Return the home's containers."""
        return self._docker.list()

    def do_images(self, call: Call) -> Table:  # noqa: ARG002 - as status
        """Return the images that were built here."""
        return self._docker.images()

    def do_build(self, call: Call) -> BuildResult:
        """Build an image, with a bar."""
        from agentnb.magics.docker.live import BuildBar

        tag = call.options.get("tag")
        text = call.body if call.body and call.body.strip() else None
        if tag is None:
            raise UsageError("the image has no name", service="docker", hint="-t app:latest")
        if text is None and not call.arguments:
            raise UsageError(
                "there is neither a folder nor a Dockerfile",
                service="docker",
                hint=f"%docker build FOLDER -t {tag}, or %%docker build -t {tag} over a Dockerfile",
            )
        options: dict[str, Any] = {
            "dockerfile": call.options.get("file"),
            "text": text,
            "args": call.options.get("arg"),
            "target": call.options.get("target"),
            "policy": call.options.get("policy"),
            "pull": call.options.get("pull"),
            "secrets": {name: Path(path) for name, path in call.options.get("secret", {}).items()},
            "fresh": call.options.get("fresh", False),
        }
        if "timeout" in call.options:
            options["timeout"] = call.options["timeout"]
        folder = str(call.arguments[0]) if call.arguments else None
        if "quiet" in call.options:
            return self._docker.build_image(folder, tag, **options)
        with BuildBar(tag) as bar:
            return self._docker.build_image(folder, tag, on_step=bar, on_sent=bar.sent, **options)

    def do_pull(self, call: Call) -> PullResult:
        """Fetch an image, with a bar."""
        from agentnb.magics.docker.live import PullBar

        names = ("platform", "timeout")
        options = {name: call.options[name] for name in names if name in call.options}
        image = str(call.arguments[0])
        if "quiet" in call.options:
            return self._docker.pull(image, **options)
        with PullBar(image) as bar:
            return self._docker.pull(image, on_progress=bar.progress, **options)

    def do_run(self, call: Call) -> RunResult | Container:
        """Run a command or a script; its output is printed as it comes."""
        image, options = _text(call), _of_a_container(call)
        script = call.body if call.body and call.body.strip() else None
        if "detach" in call.options:
            if script is not None:
                raise UsageError("a script is run to its end", service="docker", hint="without -d")
            if "keep" in call.options:
                options["keep"] = True
            return self._docker.run_container(image, call.rest or None, **options)
        if "keep" in call.options:
            raise UsageError("--keep is for a container that goes on", service="docker", hint="-d")
        if "timeout" in call.options:
            options["timeout"] = call.options["timeout"]
        result = self._printed(
            call,
            lambda on_line: self._docker.run(
                image, call.rest or None, script=script, on_line=on_line, **options
            ),
        )
        return _checked(call, result)

    def do_service(self, call: Call) -> Service:
        """Start a service and return it when it is ready."""
        options = _of_a_container(call)
        for name in ("port", "ready", "scheme", "timeout"):
            if name in call.options:
                options[name] = call.options[name]
        return self._docker.service(_text(call), call.rest or None, **options)

    def do_network(self, call: Call) -> Table | Network | str:
        """List the networks, or make or remove one."""
        if not call.arguments:
            if "remove" in call.options:
                raise UsageError(
                    "which network?", service="docker", hint="%docker network NAME --remove"
                )
            return self._docker.networks()
        if _text(call) in _OF_A_NETWORK:
            raise UsageError(
                f"%docker network takes the name of a network, not {_text(call)!r}",
                service="docker",
                hint="%docker network lists them, %docker network NAME makes one, --remove ends it",
            )
        if "remove" not in call.options:
            return self._docker.network(_text(call))
        self._docker.remove_network(_text(call))
        return Message(f"{_text(call)}: removed")

    def do_exec(self, call: Call) -> ExecResult:
        """Run a command in a container; its output is printed as it comes."""
        if not call.rest:
            raise UsageError(
                "there is no command",
                service="docker",
                hint=f"%docker exec {call.words[0].text} -- COMMAND",
            )
        names = ("env", "env_file", "user", "workdir", "timeout")
        options = {name: call.options[name] for name in names if name in call.options}
        if call.body:
            options["stdin"] = call.body
        result = self._printed(
            call,
            lambda on_line: self._docker.exec(
                _text(call), call.rest or "", on_line=on_line, **options
            ),
        )
        return _checked(call, result)

    def _printed(self, call: Call, run: Callable[[Printer | None], _T]) -> _T:
        from agentnb.magics.docker.live import Printer

        if "quiet" in call.options:
            return run(None)
        printer = Printer()
        try:
            return run(printer)
        finally:
            printer.end()

    def do_logs(self, call: Call) -> Logs | None:
        """Return the output of a container, or print it as it arrives."""
        options: dict[str, Any] = {
            name: call.options[name] for name in ("tail", "since") if name in call.options
        }
        text = call.options.get("grep")
        if "follow" not in call.options:
            logs = self._docker.get_container_logs(_text(call), follow=False, **options)
            return logs if text is None else logs.matching(text)
        from agentnb.magics.docker.live import Printer

        printer = Printer()
        timeout = call.options.get("timeout")
        lines = self._docker.get_container_logs(
            _text(call), follow=True, timeout=timeout, **options
        )
        try:
            for line in lines:
                if text is None or text.casefold() in line.text.casefold():
                    printer(line)
        except KeyboardInterrupt:
            pass  # this is how one ends it
        finally:
            printer.end()
        return None

    def do_start(self, call: Call) -> Container:
        """Start a container that has ended."""
        return self._docker.start_container(_text(call))

    def do_inspect(self, call: Call) -> dict[str, Any]:
        """Return all that the engine says of a container."""
        return self._docker.inspect(_text(call))

    def do_stop(self, call: Call) -> str:
        """Stop and remove one of the home's containers, or all."""
        every = "all" in call.options
        if every == bool(call.arguments):
            raise UsageError(
                "which container?", service="docker", hint="%docker stop NAME, or --all"
            )
        names = list(self._docker.names("container")) if every else [_text(call)]
        if len(names) > 1 and "yes" not in call.options:
            raise UsageError(
                f"that would stop {len(names)} containers: {', '.join(names)}",
                service="docker",
                hint="%docker stop --all --yes",
            )
        for name in names:
            self._docker.stop_container(name, grace=call.options.get("grace", 5.0))
        return Message(", ".join(names) + ": stopped and removed" if names else "there is none")

    def do_stats(self, call: Call) -> Table:  # noqa: ARG002 - as status
        """Return the usage of the home's containers."""
        found = self._docker.usage()
        if any(row.cpu is None for row in found):
            time.sleep(_LOOK_AGAIN)  # processor time is a difference
            found = self._docker.usage()
        return found

    def do_prune(self, call: Call) -> Table:
        """Remove the home's ended containers, or list them."""
        sure = "yes" in call.options
        gone = self._docker.prune(images="images" in call.options, dry_run=not sure)
        if gone:
            gone.note = "removed" if sure else "nothing is removed yet: add --yes"
        return gone

    def do_panel(self, call: Call) -> Any:  # noqa: ARG002 - as status
        """Open the panel."""
        return self.hub.panel("docker")


def _text(call: Call) -> str:
    return str(call.arguments[0])


def _of_a_container(call: Call) -> dict[str, Any]:
    """Return the options of a line that are a container's."""
    options = {name: call.options[name] for name in _OF_A_CONTAINER if name in call.options}
    if "files" in call.options:
        options["files"] = _by_name(call.options["files"])
    return options


def _by_name(paths: Iterable[str]) -> dict[str, Path]:
    """Return files by the names that they get in the container.

    Raises
    ------
    UsageError
        Two of them have the same name.
    """
    found: dict[str, Path] = {}
    for text in paths:
        path = Path(text)
        if path.name in found:
            raise UsageError(
                f"--files has two files of the name {path.name!r}: {found[path.name]} and {path}",
                service="docker",
                hint="in Python each has a path of its own: hub.docker.run(IMAGE, COMMAND, "
                f"files={{{str(path)!r}: Path({str(path)!r}), ...}})",
            )
        found[path.name] = path
    return found


def _checked(call: Call, result: _Result) -> _Result:
    """Return a result; one of a program that failed only if the line asks for it.

    Raises
    ------
    RejectedError
        It exited with another code than 0, and the line does not say ``--no-check``.
    """
    if "no_check" in call.options:
        return result
    try:
        result.check()
    except RejectedError as error:
        raise RejectedError(
            error.message, service="docker", hint="--no-check returns the result all the same"
        ) from error
    return result
