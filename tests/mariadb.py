"""A MariaDB of a test run's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager


@contextmanager
def server(folder):
    """Start MariaDB in a folder, on a socket of its own; yield the socket."""
    data, address, log = folder / "data", folder / "socket", folder / "log"
    user = ["--user=root"] if os.geteuid() == 0 else []
    with log.open("wb") as out:
        subprocess.run(
            [
                *("mariadb-install-db", "--no-defaults", f"--datadir={data}"),
                *("--auth-root-authentication-method=normal", "--skip-test-db", *user),
            ],
            stdout=out,
            stderr=out,
            check=True,
        )
        process = subprocess.Popen(
            [
                *(_daemon(), "--no-defaults", f"--datadir={data}", f"--socket={address}"),
                *("--skip-networking", "--innodb-buffer-pool-size=8M", *user),
                "--innodb-flush-log-at-trx-commit=0",  # no test cuts the power
            ],
            stdout=out,
            stderr=out,
        )
    try:
        _wait(process, address, log)
        yield address
    finally:
        process.terminate()
        process.wait(60)


def missing():
    """Return why no MariaDB can be started, or None."""
    return None if _daemon() else "no mariadbd on PATH (mariadb-server)"


def _daemon():
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    return shutil.which("mariadbd", path=path)


def _wait(process, address, log):
    for _ in range(300):
        if process.poll() is not None:
            raise AssertionError(log.read_text())
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            try:
                link.connect(str(address))
                if link.recv(1):  # its greeting
                    return
            except OSError:
                time.sleep(0.1)
    raise AssertionError(log.read_text())
