"""BuildKit, by the ``docker`` command that is installed: the engine's API alone has none."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from agentnb.core.docker.building import Step
from agentnb.core.docker.fetching import PLATFORM_ARGS
from agentnb.core.errors import ConfigError, DeadlineExceeded, UsageError
from agentnb.core.forking import new_event
from agentnb.core.redact import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agentnb.core.docker.building import BuildLog, Order
    from agentnb.core.docker.dockerfile import Instruction, Reading
    from agentnb.core.docker.endpoint import Endpoint
    from agentnb.core.docker.engine import Engine

__all__ = ["Command", "Need", "build", "command_of", "needed"]

_ASK_SECONDS = 20.0
_BUILT_IN = range(18, 23)  # Since 23, the command needs the plugin.
_PLAIN_FLAGS = {
    "ADD": {"--chown"},
    "COPY": {"--chown", "--from"},
    "FROM": {"--platform"},
    "HEALTHCHECK": {"--interval", "--timeout", "--start-period", "--retries"},
    "RUN": set[str](),
}
_ADDRESS = {"DOCKER_CERT_PATH", "DOCKER_CONTEXT", "DOCKER_HOST", "DOCKER_TLS_VERIFY"}
_SECRET_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_STEP = re.compile(r"#(\d+) \[(?:\S+ )?(\d+)/(\d+)\] (.*)")
_ERROR = re.compile(r"#(\d+) ERROR: ")
_DIGEST = re.compile(r"#\d+ sha256:[0-9a-f]{64}")
_LEAST_SECRET = 4
_NOTE = "BuildKit does not limit the memory of steps"


class Need(NamedTuple):
    """Why a Dockerfile needs BuildKit.

    Parameters
    ----------
    line
        Of the Dockerfile.
    what
        It uses there.
    """

    line: int
    what: str


def needed(reading: Reading, args: Mapping[str, str]) -> Need | None:
    """Return why a Dockerfile needs BuildKit; None where the engine's own builder reads it.

    Parameters
    ----------
    reading
        The Dockerfile.
    args
        The build's arguments.
    """
    if reading.syntax is not None:
        return Need(1, f"# syntax={reading.syntax}")
    for one in reading.instructions:
        what = _what(one, args)
        if what is not None:
            return Need(one.line, what)
    return None


def _what(one: Instruction, args: Mapping[str, str]) -> str | None:
    if one.heredoc:
        return f"{one.name} <<: a text in the Dockerfile"
    for flag in one.flags:
        if flag.partition("=")[0] not in _PLAIN_FLAGS.get(one.name, {flag.partition("=")[0]}):
            return f"{one.name} {flag}"
    platform = one.flag("platform") or ""
    if one.name == "FROM" and any(name in platform for name in PLATFORM_ARGS):
        return f"FROM --platform={platform}"
    if one.name == "ARG":
        # The engine's own builder would leave them empty without a word.
        found = [name for name in one.words if name in PLATFORM_ARGS and name not in args]
        return f"ARG {found[0]}" if found else None
    return None


class Command(NamedTuple):
    """A ``docker`` command that builds with BuildKit.

    Parameters
    ----------
    path
        Its path.
    env
        Its environment, with the engine's address.
    """

    path: str
    env: dict[str, str]


def command_of(endpoint: Endpoint, need: Need) -> Command:
    """Return the command that builds with BuildKit.

    Parameters
    ----------
    endpoint
        The engine.
    need
        Why.

    Raises
    ------
    ConfigError
        There is none; the error has the line of the Dockerfile.
    """
    path = shutil.which("docker")
    if path is None:
        raise _missing(need, "there is no docker command on PATH")
    env = {name: value for name, value in os.environ.items() if name not in _ADDRESS}
    env |= {"DOCKER_HOST": endpoint.url, "DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default"}
    if endpoint.tls:
        certificate = endpoint.tls["ca_cert"] or endpoint.tls["client_cert"][0]
        env["DOCKER_CERT_PATH"] = str(Path(certificate).parent)
        env["DOCKER_TLS_VERIFY"] = "1" if endpoint.tls["verify"] else ""
    command = Command(path, env)
    if _says(command, "buildx", "version") is not None:
        return command
    output = _says(command, "--version") or ""
    version = re.search(r"version (\d+)\.", output)
    if version is None or int(version[1]) not in _BUILT_IN:
        raise _missing(need, f"{path} has no buildx")
    return command


def _says(command: Command, *words: str) -> str | None:
    """Return the output of the command; None if it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - docker's own words
            [command.path, *words],
            env=command.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_SECONDS,
            check=False,
            start_new_session=True,  # an interrupt of the notebook's process group stays there
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _missing(need: Need, reason: str) -> ConfigError:
    return ConfigError(
        f"Dockerfile line {need.line} needs BuildKit ({need.what}), and {reason}",
        service="docker",
        hint="install docker's command with its buildx plugin (docker-ce-cli docker-buildx-plugin; "
        "on Debian docker-cli docker-buildx), or write the line without it",
    )


def build(
    engine: Engine,
    command: Command,
    context: IO[bytes],
    order: Order,
    log: BuildLog,
    secrets: Mapping[str, bytes],
) -> None:
    """Build an image, its log in `log`.

    Raises
    ------
    DeadlineExceeded
        It took too long, and was ended.
    """
    with (
        engine.span("build", image=order.tag, builder="buildkit"),
        tempfile.TemporaryDirectory(prefix="agentnb-build-") as name,
    ):
        folder = Path(name)
        words = _words(folder, context, order, secrets)
        log.note(_NOTE)
        hidden = _hidden(secrets.values())
        failed = _run([command.path, *words], command.env, order, log, hidden)
        ended = (folder / "id").read_text().strip() if (folder / "id").exists() else ""
        if failed:
            log.failed = _cause(log.text)
        log.image = ended


def _words(
    folder: Path, context: IO[bytes], order: Order, secrets: Mapping[str, bytes]
) -> list[str]:
    """Lay out the files of a build in a folder; return the words of the command."""
    files = folder / "context"
    files.mkdir()
    with tarfile.open(fileobj=context) as archive:
        # Made here, of names below one folder, and links that are kept as they are.
        archive.extraction_filter = staticmethod(lambda member, _: member)
        archive.extractall(files)  # noqa: S202 - as above
    dockerfile = folder / "Dockerfile"
    dockerfile.write_bytes(order.dockerfile.data)
    # The list has been applied.
    (folder / "Dockerfile.dockerignore").write_text("# nothing more\n")
    words = ["build", "--progress=plain", f"--file={dockerfile}", f"--tag={order.tag}"]
    words += [f"--iidfile={folder / 'id'}"]
    words += [f"--network={'default' if order.policy.network else 'none'}"]
    words += [f"--build-arg={name}={value}" for name, value in order.args.items()]
    words += [f"--label={name}={value}" for name, value in order.labels.items()]
    words += [f"--target={order.target}"] if order.target is not None else []
    words += ["--no-cache"] if order.fresh else []
    words += ["--pull"] if order.pull else []
    for number, (name, value) in enumerate(secrets.items()):
        if _SECRET_ID.fullmatch(name) is None:
            raise UsageError(
                f"the id of a secret must be letters, digits and _ . -, got {name[:40]!r}",
                service="docker",
                hint="secrets={'token': Path('token.txt')}",
            )
        path = folder / f"secret-{number}"
        path.touch(mode=0o600)
        path.write_bytes(value)
        words.append(f"--secret=id={name},src={path}")
    return [*words, str(files)]


def _hidden(secrets: Iterable[bytes]) -> re.Pattern[str] | None:
    """Return the pattern of the lines of secrets in a log."""
    lines = {line for one in secrets for line in one.decode("utf-8", "replace").split()}
    found = sorted((line for line in lines if len(line) >= _LEAST_SECRET), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, found))) if found else None


def _run(
    words: list[str],
    env: dict[str, str],
    order: Order,
    log: BuildLog,
    hidden: re.Pattern[str] | None,
) -> bool:
    """Run the command, its lines taken by the log; return whether it failed."""
    with _started(words, env) as process:
        late = new_event()

        def end() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(order.timeout, end)
        timer.start()
        steps: dict[str, Step] = {}
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            for line in process.stdout:
                if _DIGEST.fullmatch(line.rstrip("\n")):
                    continue
                log.line(hidden.sub(MASK, line) if hidden is not None else line)
                if found := _STEP.fullmatch(line.rstrip("\n")):
                    steps[found[1]] = Step(int(found[2]), int(found[3]), found[4])
                    log.begin(steps[found[1]])
                elif (found := _ERROR.match(line)) and found[1] in steps:
                    log.last = steps[found[1]]
            process.wait()
        finally:
            timer.cancel()
        if late.is_set():
            raise DeadlineExceeded(
                f"the build took longer than {order.timeout:g} s and was ended:\n{log.end()}",
                service="docker",
                hint="timeout= gives it more",
            )
        return process.returncode != 0


@contextmanager
def _started(words: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start the command in a group of its own, which ends with the block."""
    with subprocess.Popen(  # noqa: S603 - docker's own words
        words,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):  # it has ended
        os.killpg(process.pid, signal.SIGKILL)


def _cause(text: str) -> str:
    """Return the line of a log that says why the build failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    output = lines[-1] if lines else "the docker command failed"
    return output.removeprefix("ERROR: ").removeprefix("failed to solve: ")
