"""``agentnb health``, run as a container's HEALTHCHECK runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

JOBS = """
from agentnb.core.queue import processor

@processor("mail")
def send(job):
    return "sent"
"""
AWAY = "redis://:hunter22x@127.0.0.1:1/0"


@pytest.fixture
def health(steady_home, tmp_path):
    """Run ``agentnb health`` with these words, and return what it printed."""

    def run(*words, **variables):
        return subprocess.run(
            [sys.executable, "-m", "agentnb.cli", "health", "--timeout", "30", *words],
            cwd=tmp_path,
            env={**os.environ, "AGENTNB_HOME": str(steady_home), **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_health_tells_by_its_exit_code(health):
    well, away = health("--json"), health("--json", REDIS_URL=AWAY)
    assert (well.returncode, json.loads(well.stdout)) == (
        0,
        {"ok": True, "services": {"db default": "ok"}},
    )
    found = json.loads(away.stdout)
    assert (away.returncode, found["ok"]) == (1, False)
    assert "cannot be reached" in found["services"]["redis"]
    assert "hunter22x" not in away.stdout + away.stderr
    assert "redis  UnavailableError: redis://" in health(REDIS_URL=AWAY).stdout


def test_a_setting_that_is_wrong_is_not_healthy(health):
    done = health(AGENTNB_DB_POOL="none")
    assert done.returncode == 1
    assert "AGENTNB_DB_POOL" in done.stderr
    assert health("mail").returncode == 2


def test_a_worker_of_this_host_is_found_by_its_heartbeat(
    health, start_worker, steady_home, tmp_path
):
    (tmp_path / "jobs.py").write_text(JOBS)
    own = {"AGENTNB_KEY_PREFIX": f"health-{tmp_path.name}"}
    nobody = health("--worker", **own)
    assert nobody.returncode == 1
    assert "queues  UnavailableError: no worker of this host is alive, 0 elsewhere" in nobody.stdout
    worker = start_worker(steady_home, "--app", "jobs", **own)
    worker.hear("worker started")
    found = health("--worker", "mail", "--json", **own)
    assert (found.returncode, json.loads(found.stdout)["services"]) == (0, {"queue mail": "ok"})
    assert health("--worker", "mail", "other", **own).returncode == 1
    worker.close()  # killed: its record is still there
    assert health("--worker", "mail", **own).returncode == 1


COLD = """
import sys
from agentnb.core.services.health import Prober

def states(self, checks, seconds):
    names = ("sqlalchemy", "agentnb.core.redis", "agentnb.core.workflow")
    print(*(one in sys.modules for one in names))
    return []

Prober.states = states
from agentnb.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("words", "imported"), [([], "True True False"), (["--worker"], "True True True")]
)
def test_imports_do_not_count_as_time_to_answer(steady_home, words, imported):
    done = subprocess.run(
        [sys.executable, "-c", COLD, "health", *words],
        env={**os.environ, "AGENTNB_HOME": str(steady_home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.splitlines()[0] == imported
