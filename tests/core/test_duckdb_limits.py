"""The limits of DuckDB: time, memory, settings, the network, one process at a time."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import agentnb
from agentnb.core.db import Database
from agentnb.core.db.duck import DuckLimits
from agentnb.core.errors import (
    ConfigError,
    DeadlineExceeded,
    QueryRejected,
    UnavailableError,
    UsageError,
)

ENDLESS = [
    "select count(*) from range(1000000) a, range(1000000) b where hash(a.range, b.range) = 1",
    "select a.range from range(30000000) a order by hash(a.range)",
    "select max(hash(a.range, b.range)) from range(1000000) a, range(1000000) b",
    "select range::text as a from range(1000000000)",  # whose rows are fetched
]


@pytest.fixture
def confined(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    limits = DuckLimits(folders=(tmp_path,), home=tmp_path / "state")
    with Database("duckdb:///:memory:", duck=limits) as database:
        yield database


LOCKED = ("memory_limit", "max_memory", "threads", "worker_threads", "max_temp_directory_size",
    "temp_directory", "python_enable_replacements", "python_scan_all_frames",
    "allowed_directories", "allowed_paths", "allowed_configs", "lock_configuration",
    "enable_external_access", "file_search_path", "autoinstall_known_extensions",
    "allow_unsigned_extensions", "errors_as_json", "home_directory", "log_query_path",
)  # fmt: skip


def test_limits_are_not_lifted_by_sql_however_it_is_spelled(confined):
    everything = "select name, value from duckdb_settings() where name <> 'search_path' order by 1"
    before = confined.query(everything).rows
    value = {"threads": "7", "worker_threads": "7", "allowed_directories": "['/']",
             "allowed_paths": "['/etc/passwd']", "allowed_configs": "['threads']"}  # fmt: skip
    for name in LOCKED:
        to = value.get(name, "'9GB'" if "m" in name[:4] else "true")
        for sql in (
            f"set {name} = {to}", f"SET GLOBAL {name.upper()} = {to}", f"set session {name}={to}",
            f"pragma {name} = {to}", f"PRAGMA {name}={to}", f"reset {name}", f"reset global {name}",
            f'set "{name}" = {to}', f"/* */ set /* */ {name} = {to}",
        ):  # fmt: skip
            with pytest.raises((UsageError, QueryRejected)):
                confined.execute(sql)
    for sql in (
        "call enable_logging('QueryLog')",
        "pragma enable_logging",
        "set enable_profiling='json'",
    ):
        with pytest.raises((UsageError, QueryRejected)):
            confined.execute(sql)
    assert confined.query(everything).rows == before
    with pytest.raises(UsageError, match="memory_limit cannot be set by SQL") as caught:
        confined.execute("set memory_limit = '64GB'")
    assert "AGENTNB_DUCK_MEMORY" in caught.value.hint
    with confined.session() as session:
        session.execute("set timezone = 'Asia/Tokyo'")
        session.execute("set default_order = 'desc'")
        session.execute("create schema s")
        session.execute("set search_path = 's'")
        session.execute("set variable x = 5")
        assert session.query("select current_setting('timezone'), getvariable('x')").rows == [
            ("Asia/Tokyo", 5)
        ]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("threads", [1, 2])
def test_a_time_out_is_kept_each_time_and_the_next_statement_works(threads, number):
    with Database(f"duckdb:///:memory:?threads={threads}") as duck:
        duck.query("select 1")
        for _ in range(10):
            with pytest.raises(DeadlineExceeded, match="the statement was cancelled"):
                duck.query(ENDLESS[number], timeout=0.05, max_bytes=2_000_000_000)
            assert duck.query("select 1").scalar() == 1


def test_an_interrupt_stops_a_statement_each_time(tmp_path):
    code = f"""if True:
        from agentnb.core.db import Database
        for threads in (1, 2):
            with Database(f"duckdb:///:memory:?threads={{threads}}") as db:
                for number in range(10):
                    db.query("select 1")
                    print("ready", flush=True)
                    try:
                        db.query({ENDLESS!r}[number % 4], max_bytes=10**12)
                    except KeyboardInterrupt:
                        print(db.query("select 42").scalar(), flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as other:
        for _ in range(20):
            assert other.stdout.readline() == "ready\n"
            time.sleep(0.1)
            other.send_signal(signal.SIGINT)
            assert other.stdout.readline() == "42\n"
    assert other.returncode == 0


def resident():
    """Return the bytes of memory that this process takes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_too_little_memory_is_an_error_and_the_next_statement_works(tmp_path):
    limits = DuckLimits(folders=(tmp_path,), memory="200MB")
    with Database("duckdb:///:memory:", duck=limits) as db:
        before, most = resident(), [0]
        done = threading.Event()

        def watch():
            while not done.wait(0.01):
                most.append(resident())

        watcher = threading.Thread(target=watch)
        watcher.start()
        with pytest.raises(UnavailableError, match="needs more memory") as caught:
            db.query(
                "select count(*) from (select range, list(range) from range(30000000) group by 1)"
            )
        done.set()
        watcher.join()
        assert max(most) - before < 300_000_000
        assert "AGENTNB_DUCK_MEMORY" in caught.value.hint
        assert db.query("select 1").scalar() == 1


NETWORK = [
    "load spatial", "install httpfs", "load httpfs", "from 'http://127.0.0.1:9/x.csv'",
    "from read_csv('https://example.com/x.csv')", "select * from 'x.xlsx'",
    "from 's3://bucket/x.parquet'", "copy (select 1) to 'http://127.0.0.1:9/x.csv'",
    "attach 'https://example.com/x.duckdb'", "attach 'host=127.0.0.1' as p (type postgres)",
    "create secret s (type s3, key_id 'k', secret 's')", "call start_ui()", "from 'hf://a/b.csv'",
    "update extensions", "install x from 'http://127.0.0.1:9'", "from st_read('x.shp')",
]  # fmt: skip


def test_no_packet_leaves_the_process(tmp_path, require):
    unshare, ip = shutil.which("unshare"), shutil.which("ip", path="/sbin:/usr/sbin:/bin:/usr/bin")
    words = [unshare or "unshare", "--net", ip or "ip", "link", "set", "lo", "up"]
    able = unshare and ip and not subprocess.run(words, capture_output=True, check=False).returncode
    require("netns", able, "no network namespaces (root?)")
    code = f"""if True:
        import re, socket, subprocess, sys
        from pathlib import Path
        from agentnb.core.db import Database
        from agentnb.core.errors import AgentnbError

        def sent():
            text = Path("/proc/net/snmp").read_text()
            counts = []
            for name, column in (("Tcp", "ActiveOpens"), ("Udp", "OutDatagrams")):
                names, values = re.findall(rf"^{{name}}: (.*)$", text, re.MULTILINE)
                counts.append(int(values.split()[names.split().index(column)]))
            return counts

        for words in ("link set lo up", "route add default dev lo"):
            subprocess.run([{ip!r}, *words.split()], check=True)
        Path("x.xlsx").write_bytes(b"PK")
        with Database("duckdb:///:memory:") as db:
            for sql in {NETWORK!r}:
                try:
                    db.query(sql)
                except AgentnbError as error:
                    print(type(error).__name__)
            print(sent())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.sendto(b"x", ("192.0.2.1", 9))
        print(sent())
    """
    words = [unshare, "--net", sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.splitlines()[-2:] == ["[0, 0]", "[0, 1]"], done.stderr
    # A secret of a kind that is built in is kept in memory.
    assert len(re.findall("^[A-Z][A-Za-z]+$", done.stdout, re.MULTILINE)) >= len(NETWORK) - 1


def test_a_file_has_one_process_at_a_time(tmp_path):
    path = tmp_path / "a.duckdb"
    code = f"import duckdb, sys; c = duckdb.connect({str(path)!r})"
    code += "; print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with pytest.raises(UnavailableError, match=f"PID {other.pid}"):
            Database(f"duckdb:///{path}").query("select 1")
        other.stdin.close()
        other.wait(30)
    with pytest.raises(ConfigError, match="cannot be opened"):
        Database(f"duckdb:///{tmp_path / 'no' / 'a.duckdb'}").query("select 1")
    with pytest.raises(ConfigError, match="unknown option"):
        Database("duckdb:///:memory:?strange=1").query("select 1")


def test_workflows_are_refused_a_database_of_one_process(tmp_path):
    with (
        agentnb.connect(database_url=f"duckdb:///{tmp_path / 'a.duckdb'}") as hub,
        pytest.raises(ConfigError, match="SQLite or PostgreSQL"),
    ):
        hub.workflows.create("x", [])
