"""Running git: with a deadline that ends all it started, and with patience for its locks."""

from __future__ import annotations

import contextlib
import os
import re
import select
import selectors
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from subprocess import TimeoutExpired
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, Final

from agentnb.core.callthreads import current_call
from agentnb.core.errors import AgentnbError, DeadlineExceeded, UnavailableError, UsageError
from agentnb.core.git.locks import at_work, waits
from agentnb.core.launch import interrupts_blocked, search_paths
from agentnb.core.ranges import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from subprocess import Popen

    from agentnb.core.callthreads import AwaitedCall

__all__ = ["Output", "execute", "git_class"]

_LOCKED = re.compile(r"Unable to create '(?P<path>[^']*\.lock)': File exists")
# What these say of an index that is locked: nothing, or what became of the stash. Of any other
# failure (conflicts, files in the way) they say more.
_MUTE: Final = (("stash", "push"), ("stash", "pop"))
_MUTE_SAYING = re.compile(r"(?:The stash entry is kept in case you need it again\.)?\s*")
# What may be ended half-way: it writes nothing to the work tree.
_TRANSFERS: Final = frozenset({"clone", "fetch", "ls-remote", "push"})
_PROGRESS = re.compile(rb"[\r\n]+")
_CHUNK = 1 << 16
# What of the user's environment reaches git: who the user is, what they have configured, and how
# they connect. Anything else could lead it to another repository, index or program than is meant.
_KEPT: Final = frozenset(
    {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT"}
    | {"GIT_EXEC_PATH", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ATTR_NOSYSTEM"}
    | {"GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_PYTHON_GIT_EXECUTABLE", "GIT_PYTHON_REFRESH"}
)
_KEPT_STARTS: Final = (
    *("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"),
    *("GIT_SSL_", "GIT_PROXY_SSL_", "GIT_HTTP_", "GIT_LFS_"),
)


@dataclass(frozen=True, slots=True)
class Output:
    """The output and the exit code of a git command.

    Parameters
    ----------
    code
        0 if it did what was asked.
    out
        Its standard output.
    err
        Its standard error, as text.
    """

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Return the standard output as text; bytes that are no UTF-8 survive a round trip."""
        return self.out.decode("utf-8", "surrogateescape")


def git_class() -> Any:
    """Return GitPython's executor.

    Raises
    ------
    UnavailableError
        There is no git on PATH.
    """
    if (known := sys.modules.get("git")) is not None and hasattr(known, "Git"):
        return known.Git
    try:
        # The package runs `git version`: an interrupt must not end that, as if there were no git.
        with interrupts_blocked():
            from git.cmd import Git
    except ImportError as error:
        raise _no_git() from error
    return Git


def _no_git() -> UnavailableError:
    return UnavailableError(
        "git is not installed, or not on PATH",
        service="git",
        hint="install it: apt-get install git, brew install git, conda install git",
    )


def execute(
    words: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    seconds: float,
    feed: bytes | None = None,
    progress: Callable[[str], object] | None = None,
) -> Output:
    """Run one git command to its end.

    Parameters
    ----------
    words
        The words after ``git``.
    cwd
        The folder it runs in.
    env
        Added to the environment.
    seconds
        Seconds at most, waiting for locks included. Afterwards it and everything
        that it started are ended.
    feed
        Its standard input; by default there is none.
    progress
        Called with each line that it says meanwhile.

    Raises
    ------
    DeadlineExceeded
        It was not over in time.
    UnavailableError
        There is no git, or a lock of another git stayed.
    """
    until = monotonic() + seconds
    lock: str | None = None
    for _ in waits(seconds):
        output = _once(words, cwd, env, until, seconds, feed, progress)
        lock = _lock(words, output)
        if lock is None:
            return output
    raise at_work(lock or "index.lock")


def _lock(words: Sequence[str], output: Output) -> str | None:
    """Return the lock of another git for which a command failed, if it was that."""
    if not output.code:
        return None
    locked = _LOCKED.search(output.err)
    if locked is not None:
        return locked["path"]
    mute = tuple(words[:2]) in _MUTE and _MUTE_SAYING.fullmatch(output.text + output.err)
    return "index.lock" if mute else None


def _once(
    words: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    until: float,
    seconds: float,
    feed: bytes | None,
    progress: Callable[[str], object] | None,
) -> Output:
    git = git_class()
    from git.exc import GitCommandNotFound

    with contextlib.ExitStack() as stack:
        stdin = None
        if feed is not None:
            stdin = stack.enter_context(tempfile.TemporaryFile())
            stdin.write(feed)
            stdin.seek(0)
        try:
            running = git(str(cwd)).execute(
                [*_without(env), git.GIT_PYTHON_GIT_EXECUTABLE, *words],
                istream=stdin,
                as_process=True,
                env={**search_paths(), **env},
                # A terminal that it could ask on, and a group to end with all that it starts.
                start_new_session=True,
            )
        except GitCommandNotFound as error:
            raise _no_git() from error
        except (OSError, ValueError) as error:  # too long, or with a NUL or a lone surrogate
            raise UsageError(
                f"an argument cannot be passed to git: {error}",
                service="git",
                hint="write it without NUL and lone surrogates",
            ) from error
        process: Popen[bytes] = running.proc
        stack.callback(_close, process)
        try:
            call = current_call("git") if words[0] in _TRANSFERS else None
            out, err = _read(process, until, progress, call)
            _await_end(process, until)
        except BaseException as error:
            _end(process)
            if isinstance(error, TimeoutError) and not isinstance(error, AgentnbError):
                raise _late(words, seconds) from error
            raise
        return Output(process.returncode, out, err.decode("utf-8", "replace"))


def _without(env: Mapping[str, str]) -> list[str]:
    """Return the command that removes environment variables, which GitPython cannot."""
    names = [
        name
        for name in os.environ
        if name.startswith("GIT_")
        and name not in env
        and name not in _KEPT
        and not name.startswith(_KEPT_STARTS)
    ]
    return ["env", *(word for name in names for word in ("-u", name))] if names else []


def _read(
    process: Popen[bytes],
    until: float,
    progress: Callable[[str], object] | None,
    call: AwaitedCall | None = None,
) -> tuple[bytes, bytes]:
    """Read both outputs to their end, or until no writer is left or the call is cancelled."""
    assert process.stdout is not None  # noqa: S101 - both are pipes
    assert process.stderr is not None  # noqa: S101
    out: list[bytes] = []
    err: list[bytes] = []
    begun = b""  # a line of progress that has not ended yet
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ, out)
        waiting.register(process.stderr, selectors.EVENT_READ, err)
        while waiting.get_map():
            left = until - monotonic()
            if left <= 0:
                raise TimeoutError
            if call is not None and call.cancelled:
                raise UnavailableError(
                    "the call was cancelled", service="git", hint="await it again"
                )
            ready = waiting.select(min(left, 0.25))
            if not ready and process.poll() is not None:
                break  # a process of its own that it left behind holds them open
            for key, _ in ready:
                data = os.read(key.fd, _CHUNK)
                if not data:
                    waiting.unregister(key.fileobj)
                    continue
                key.data.append(data)
                if key.data is err and progress is not None:
                    *lines, begun = _PROGRESS.split(begun + data)
                    begun = begun[-_CHUNK:]  # a server may send one line without an end
                    _report(lines, progress)
    if progress is not None:
        _report([begun], progress)
    return b"".join(out), b"".join(err)


def _await_end(process: Popen[bytes], until: float) -> None:
    """Wait for the end of a process, without the pauses between looks that `wait` makes."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(process.pid)
            try:
                # A time-out may be without an end, and select knows no such thing.
                select.select([descriptor], [], [], min(max(0.0, until - monotonic()), LONGEST))
            finally:
                os.close(descriptor)
    try:
        process.wait(max(0.0, until - monotonic()))
    except TimeoutExpired as error:
        raise TimeoutError from error


def _report(lines: Sequence[bytes], progress: Callable[[str], object]) -> None:
    for line in lines:
        if text := line.strip():
            progress(text.decode("utf-8", "replace"))


def _late(words: Sequence[str], seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"git {words[0]} took longer than {seconds:.4g} s and was ended",
        service="git",
        hint="give it more time: timeout=, or AGENTNB_GIT_TIMEOUT",
    )


def _end(process: Popen[bytes]) -> None:
    """End a process and its group: politely, so that it takes its locks away, then not."""
    _signal(process.pid, signal.SIGTERM)
    until = monotonic() + 1.0
    # Not reaped before the group has been killed: its number is the group's.
    while monotonic() < until and not _is_over(process.pid):
        time.sleep(0.01)
    _signal(process.pid, signal.SIGKILL)
    process.wait()


def _is_over(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _close(process: Popen[bytes]) -> None:
    pipes: list[IO[bytes] | None] = [process.stdout, process.stderr]
    for pipe in pipes:
        if pipe is not None:
            pipe.close()
