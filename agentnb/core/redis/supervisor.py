"""The process that supervises the embedded server: its parent, until the last user has left.

Run as a program, by itself: it starts in milliseconds because it imports next to nothing.
``supervisor.py DATA LOCKS GRACE REPORT PROGRAM [OPTION...]``, with the number of a pipe's end to
report on.

Three locks tell who is there; the kernel drops them even from a process that is killed:

- ``users.lock`` is held, shared, by every process that uses the server. The exclusive lock
  is free once all have left.
- ``data.lock`` is held by this process and by the server itself. It is free
  only while no server has the data open.
- ``start.lock`` is held by a user while it starts a server.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # as signal, without the 5 ms of its enums
import _thread
import fcntl
import os
import sys
import time

_MODE = 0o600
_SECONDS_TO_STOP = 10.0
_CANNOT_EXECUTE = 127


def main(data: str, locks: str, grace: float, report: int, *command: str) -> None:
    """Start the server, wait for its end or that of its last user."""
    if os.fork():
        os._exit(0)  # detached: no process has to wait for this one
    os.umask(0o077)
    os.chdir(data)
    os.set_inheritable(report, False)  # noqa: FBT003 - the function takes it by position
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    held = os.open(os.path.join(locks, "data.lock"), os.O_RDWR | os.O_CREAT, _MODE)  # noqa: PTH118 - pathlib takes 10 ms to import
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os._exit(0)  # somebody else has started one in the meantime
    os.set_inheritable(held, True)  # noqa: FBT003 - as above; the server holds it, too
    supervisor = os.getpid()
    server = os.fork()
    if not server:
        _become(command, supervisor, report)
    _note_down(data, supervisor, server)
    _thread.start_new_thread(_stop_after_the_last, (locks, grace, server))
    _, status = os.waitpid(server, 0)
    _tell(report, f"ended {os.waitstatus_to_exitcode(status)}\n")
    try:  # noqa: SIM105 - contextlib takes 5 ms to import
        os.killpg(server, _signal.SIGKILL)  # a child that rewrites the log, if the server died
    except OSError:
        pass
    try:  # noqa: SIM105 - contextlib takes 5 ms to import
        os.unlink(os.path.join(data, "running"))  # noqa: PTH108, PTH118 - as above
    except OSError:
        pass
    os._exit(0)


def _become(command: tuple[str, ...], supervisor: int, report: int) -> None:
    """Turn this child into the server, which ends when the supervisor does."""
    try:
        os.setpgid(0, 0)
        if sys.platform == "linux":
            import ctypes

            ctypes.CDLL(None).prctl(1, int(_signal.SIGTERM))  # PR_SET_PDEATHSIG
            if os.getppid() != supervisor:
                os._exit(0)
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except BaseException as error:  # noqa: BLE001 - a forked child must never go on as its parent
        _tell(report, f"cannot {error}\n")
        os._exit(_CANNOT_EXECUTE)


def _stop_after_the_last(locks: str, grace: float, server: int) -> None:
    """Stop the server once nobody has used it for a while."""
    users = os.open(os.path.join(locks, "users.lock"), os.O_RDWR | os.O_CREAT, _MODE)  # noqa: PTH118 - as in main
    while True:
        fcntl.flock(users, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_UN)
        time.sleep(grace)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # somebody has come back
        break
    # Newcomers wait for the lock from here on; it is dropped when this process ends.
    os.kill(server, _signal.SIGTERM)
    time.sleep(_SECONDS_TO_STOP)
    os.kill(server, _signal.SIGKILL)


def _note_down(data: str, supervisor: int, server: int) -> None:
    """Leave word of who has the data, for people and for other machines on the same disk."""
    text = f"host={os.uname().nodename}\nsupervisor={supervisor}\nserver={server}\n"
    note = os.open(os.path.join(data, "running"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)  # noqa: PTH118 - as in main
    os.write(note, text.encode())
    os.close(note)


def _tell(report: int, text: str) -> None:
    try:  # noqa: SIM105 - as in main
        os.write(report, text.encode())
    except OSError:
        pass  # the process that started it has closed the pipe


if __name__ == "__main__":
    _data, _locks, _grace, _report, *_command = sys.argv[1:]
    main(_data, _locks, float(_grace), int(_report), *_command)
