"""The hosts that other tests are made of: apart, and each of which can be cut off."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from agentnb.core.work.identity import is_alive, new_owner
from tests.hosts import Hosts
from tests.listening import Listener

ASK = """
import socket, sys, time
while True:
    try:
        link = socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.3)
        link.settimeout(0.3)
        print(link.recv(9).decode(), flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
    time.sleep(0.02)
"""


def lines_until(process, expected, count=1):
    """Read lines until one has been said so often in succession."""
    seen = 0
    while seen < count:
        seen = seen + 1 if process.stdout.readline().strip() == expected else 0


def test_a_host_that_is_cut_off_reaches_no_server_and_the_other_one_does(hosts):
    _, far = hosts
    with Listener(lambda link: link.sendall(b"hello"), hosts.address) as server:
        asking = [host.python(ASK, hosts.address, str(server.port)) for host in hosts]
        for process in asking:
            lines_until(process, "hello")
        far.cut()
        lines_until(asking[1], "TimeoutError", 2)
        lines_until(asking[0], "hello", 20)
        far.heal()
        lines_until(asking[1], "hello", 20)


def test_hosts_reach_each_other(hosts):
    near, far = hosts
    serve = (
        "import socket; server = socket.create_server(('', 7000)); print('up');"
        "[server.accept()[0].sendall(b'hi') for _ in range(99)]"
    )
    lines_until(near.python(serve), "up")
    lines_until(far.python(ASK, near.address, "7000"), "hi")


def test_a_process_of_another_host_is_not_taken_for_one_of_this_host(hosts):
    code = "from agentnb.core.work.identity import new_owner; print(new_owner())"
    owners = [host.python(code).stdout.readline().strip() for host in hosts]
    here = new_owner()
    assert len({owner.split("|")[1] for owner in [here, *owners]}) == 3
    assert [is_alive(owner) for owner in [here, *owners]] == [True, False, False]


def test_a_signal_reaches_the_command_and_its_end_is_told(hosts):
    code = "import signal; signal.signal(15, lambda *_: exit(3)); print('up'); signal.pause()"
    ended, killed, stopped = (hosts[0].python(code) for _ in range(3))
    for process in (ended, killed, stopped):
        lines_until(process, "up")
    ended.terminate()
    killed.kill()
    stopped.send_signal(signal.SIGSTOP)
    stopped.kill()
    assert [each.wait(10) for each in (ended, killed, stopped)] == [3, -9, -9]


@pytest.mark.usefixtures("require_hosts")
def test_nothing_is_left_of_hosts_even_if_their_test_was_killed(until):
    code = "from tests.hosts import Hosts\nHosts(1).__enter__()\nprint('up'); input()"
    words = [sys.executable, "-c", code]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "up\n"
        assert f"anb{process.pid}." in links()
        process.kill()
    until(lambda: f"anb{process.pid}." not in links())
    with Hosts(1) as (host,):
        worker = host.python("print('up'); input()", stdin=subprocess.PIPE)
        lines_until(worker, "up")
        subnet = host.address.rpartition(".")[0]
        assert subnet in links()
    until(lambda: subnet not in links())
    assert worker.poll() == -9


def links():
    return subprocess.run(["ip", "-o", "addr"], capture_output=True, text=True, check=True).stdout
