"""A PgBouncer of a test run's own, in transaction mode."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


@contextmanager
def server(folder, postgres_url, **settings):
    """Start PgBouncer in front of PostgreSQL; yield its URL for the database ``postgres``.

    ``settings`` are of the section ``pgbouncer`` of its file.
    """
    parts = urlsplit(postgres_url)
    host = parse_qs(parts.query)["host"][0]
    port = _free_port()
    lines = [
        "[databases]",
        f"* = host={host} port={parts.port or 5432} user=postgres",
        "[pgbouncer]",
        f"listen_port = {port}",
        "listen_addr = 127.0.0.1",
        "unix_socket_dir =",
        "auth_type = any",
        "pool_mode = transaction",
        "default_pool_size = 3",
        "max_client_conn = 100",
        f"pidfile = {folder / 'pid'}",
        *(f"{name} = {value}" for name, value in settings.items()),
    ]
    (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    folder.chmod(0o777)
    command = [_program(), str(folder / "pgbouncer.ini")]
    if os.geteuid() == 0:  # it refuses to run as root
        command[1:1] = ["-u", Path(host).owner()]  # who may enter the socket's folder
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        _wait(process, port, log)
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait(30)


def missing():
    """Return why no PgBouncer can be started, or None."""
    return None if _program() else "no pgbouncer on PATH (pgbouncer)"


def _program():
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def _free_port():
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return link.getsockname()[1]


def _wait(process, port, log):
    for _ in range(200):
        if process.poll() is not None:
            raise AssertionError(log.read_text())
        with socket.socket() as link:
            if not link.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text())
