"""Ctrl-C in a transaction is a KeyboardInterrupt, and leaves all of it or nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, random, signal, sys, threading, time
from agentnb.core.db import Database

moments = random.Random(7)
main = threading.get_ident()

def interrupt(after, noticed):
    while not noticed.wait(after):
        signal.pthread_kill(main, signal.SIGINT)
        after = 1.0  # again: Python ignores what comes in the callback of a weak reference

def work(db, kind):
    while kind == "transaction":
        with db.transaction() as tx:
            tx.execute("insert into half values (1)")
            tx.execute("insert into half values (2)")
    while kind == "session":
        with db.session() as session, session.transaction() as tx:
            tx.execute("insert into half values (1)", timeout=1)
            tx.execute("insert into half values (2)", timeout=1)
    while kind == "nested":
        with db.transaction() as tx:
            tx.execute("insert into half values (:n)", [{"n": 1}, {"n": 2}])

seen = []
with Database(sys.argv[1]) as db:
    db.execute("create table half (n integer)")
    for number in range(120):
        noticed = threading.Event()
        thread = threading.Thread(target=interrupt, args=[moments.random() * 0.01, noticed])
        try:
            thread.start()
            work(db, ("transaction", "session", "nested")[number % 3])
        except BaseException as error:
            noticed.set()
            seen.append(type(error).__name__)
        thread.join()
    rows = dict(db.query("select n, count(*) from half group by n").rows)
print(sorted(set(seen)), len(seen), rows.get(1, 0) == rows.get(2, 0))
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_interrupt_in_a_transaction_is_one_and_leaves_all_or_nothing(kind, tmp_path, request):
    url = f"sqlite:///{tmp_path / 'a.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("fresh_url")
    found = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", PROGRAM, url],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.stdout.strip() == "['KeyboardInterrupt'] 120 True", found.stderr[-2000:]
