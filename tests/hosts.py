"""Hosts of a test's own: network and PID namespaces on one switch, each of which can be cut off."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["Host", "HostProcess", "Hosts", "missing"]

_NUMBERS = itertools.count(1)
_SUBNETS = "198.18"  # RFC 2544: of benchmarks, routed nowhere
_KINDS = ("net", "uts", "pid", "mnt")

# The first process of a host. It ends when the test's process does, and the kernel then ends the
# host's other processes and takes its network away: nothing is left of a run that was killed.
_INIT = 'hostname "$1"; ip link set lo up; echo ready; cat'

# Enters the namespaces of that process and starts a command there, which dies with this launcher
# (PR_SET_PDEATHSIG) and whose end is the launcher's. nsenter(1) would hand on no signal.
_ENTER = """
import ctypes, os, signal, sys
libc, folder = ctypes.CDLL(None, use_errno=True), os.getcwd()
spaces = [os.open(f"/proc/{sys.argv[1]}/ns/{kind}", os.O_RDONLY) for kind in KINDS]
for space in spaces:
    if libc.setns(space, 0):
        sys.exit(f"setns: {os.strerror(ctypes.get_errno())}")
os.chdir(folder)
child = os.fork()
if not child:
    libc.prctl(1, int(signal.SIGKILL))
    try:
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as error:
        os.write(2, f"{sys.argv[2]}: {error}\\n".encode())
        os._exit(127)
signal.signal(signal.SIGINT, signal.SIG_IGN)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
if code < 0:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
""".replace("KINDS", repr(_KINDS))


def missing():
    """Return why hosts cannot be made here, or None."""
    for program in ("ip", "unshare"):
        if not _program(program):
            return f"no {program} on PATH (iproute2, util-linux)"
    words = ["unshare", "--net", "--uts", "--pid", "--fork", "--mount-proc", "ip", "link"]
    done = subprocess.run(words, capture_output=True, text=True, env=_environment(), check=False)
    return None if done.returncode == 0 else f"no namespaces (root?): {done.stderr.strip()}"


class Hosts:
    """Some hosts on a private network, with the test's own process at one of its addresses.

    Parameters
    ----------
    count
        The number of hosts.

    Attributes
    ----------
    address
        The address of the test's process, on which its servers have to listen to be reached.

    Examples
    --------
    >>> hosts = Hosts(2)  # doctest: +SKIP
    >>> with hosts as (near, far):  # doctest: +SKIP
    ...     worker = far.run([sys.executable, "-m", "agentnb.cli", "worker", "mail"], env=env)
    ...     far.cut()
    ...     far.heal()
    """

    def __init__(self, count=2):
        self._count = count
        self._ends = contextlib.ExitStack()
        self._hosts = []
        self.address = None

    def __enter__(self):
        with self._ends:  # nothing stays if one of the steps fails
            self._make()
            self._ends = self._ends.pop_all()
        return self

    def __exit__(self, *_):
        self._ends.close()

    def __iter__(self):
        return iter(self._hosts)

    def __getitem__(self, index):
        return self._hosts[index]

    def __len__(self):
        return len(self._hosts)

    def _make(self):
        name = f"anb{os.getpid()}.{next(_NUMBERS)}"  # 15 characters at most, as the kernel wants it
        switch = self._ends.enter_context(_started("switch"))
        inside = ["nsenter", "--target", str(switch), "--net", "ip"]
        _do(*inside, "link", "add", "lan", "up", "type", "bridge")
        with _one_at_a_time():
            subnet = _free_subnet()
            self.address = f"{subnet}.1"
            _do("ip", "link", "add", name, "type", "veth", "peer", "name", "own", "netns", switch)
            self._ends.callback(_quietly, "ip", "link", "del", name)
            _do("ip", "addr", "add", f"{self.address}/24", "dev", name)
        _do("ip", "link", "set", name, "up")
        _do(*inside, "link", "set", "own", "master", "lan", "up")
        for number in range(1, self._count + 1):
            host = Host(f"h{number}", f"{subnet}.{number + 1}", inside)
            self._hosts.append(self._ends.enter_context(host))
            host.join(switch)


class Host:
    """One host, made by `Hosts`.

    Attributes
    ----------
    name
        Its name, such as ``h1``.
    address
        Its address.
    """

    def __init__(self, name, address, switch):
        self.name, self.address = name, address
        self._switch = switch
        self._processes = []
        self._ends = contextlib.ExitStack()

    def __enter__(self):
        self._init = self._ends.enter_context(_started(self.name))
        self._ends.callback(self._kill)
        return self

    def __exit__(self, *_):
        self._ends.close()

    def join(self, switch):
        """Plug the host into the switch."""
        inside = ["nsenter", "--target", str(self._init), "--net", "ip"]
        ends = ["type", "veth", "peer", "name", "eth0", "netns", self._init]
        _do(*self._switch, "link", "add", self.name, "netns", switch, *ends)
        _do(*self._switch, "link", "set", self.name, "master", "lan", "up")
        _do(*inside, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _do(*inside, "link", "set", "eth0", "up")

    def run(self, argv, **options):
        """Start a command on the host; return its `HostProcess`, which is killed in the end.

        ``options`` are those of `subprocess.Popen`.
        """
        launcher = [sys.executable, "-I", "-S", "-c", _ENTER, str(self._init)]
        self._processes.append(HostProcess([*launcher, *map(str, argv)], **options))
        return self._processes[-1]

    def python(self, code, *argv, **options):
        """Start a Python on the host that runs some code; as `run`, with its output as text."""
        options = {"stdout": subprocess.PIPE, "text": True, **options}
        return self.run([sys.executable, "-u", "-c", code, *argv], **options)

    def cut(self):
        """Drop every packet from and to the host, without a word to either side."""
        # Its cable ends beside the switch: a link that is down would be noticed on the host.
        _do(*self._switch, "link", "set", self.name, "nomaster")

    def heal(self):
        """Let the packets through again."""
        _do(*self._switch, "link", "set", self.name, "master", "lan")

    def _kill(self):
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait(10)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()


class HostProcess(subprocess.Popen):
    """A process on a host: a signal goes to the command itself, not to what launched it."""

    @property
    def inner(self):
        """The command's pid as this process sees it; None before it has begun, and at its end."""
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            return int(children[0]) if children else None

    def send_signal(self, sig):
        """Send a signal; also one that no process can hand on, such as SIGKILL or SIGSTOP."""
        inner = self.inner
        if inner is None:
            super().send_signal(sig)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(inner, sig)


@contextlib.contextmanager
def _started(name):
    """Start the first process of namespaces of their own; yield its pid."""
    words = ["unshare", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
    process = subprocess.Popen(
        [*words, "sh", "-c", _INIT, "sh", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(),
        start_new_session=True,  # no Ctrl-C
    )
    with process:
        try:
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"no namespace for {name}")
            yield int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        finally:
            process.send_signal(signal.SIGKILL)  # and the kernel kills all that is inside


@contextlib.contextmanager
def _one_at_a_time():
    """Let one process at a time choose a subnet."""
    with Path(tempfile.gettempdir(), f"agentnb-tests-hosts-{os.getuid()}").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _free_subnet():
    taken = _do("ip", "-4", "-o", "addr").stdout
    for number in range(256):
        if f" {_SUBNETS}.{number}." not in taken:
            return f"{_SUBNETS}.{number}"
    raise RuntimeError(f"all of {_SUBNETS}.0.0/16 is in use")


def _do(*words):
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done


def _quietly(*words):
    with contextlib.suppress(RuntimeError):  # it went together with its other end
        _do(*words)


def _environment():
    return {**os.environ, "PATH": _path(), "LC_ALL": "C"}


def _path():
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _program(name):
    return shutil.which(name, path=_path())
