"""The page about services: its commands, files and examples are understood and run."""

from __future__ import annotations

import asyncio
import configparser
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from agentnb import errors
from agentnb.cli.parser import parse
from agentnb.core.settings import FIELDS

PAGE = Path(__file__).parents[2] / "notebooks" / "guide" / "services.md"
TEXT = PAGE.read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMPOSE = yaml.safe_load(next(text for kind, text in _BLOCK.findall(TEXT) if kind == "yaml"))
SERVICES = COMPOSE["services"]

LOGGING = """
import logging, agentnb, logs

logs.set_up()
with agentnb.connect(database_url="sqlite://") as hub:
    def fail(job):
        raise ValueError("boom")
    with agentnb.correlation("order-17"):
        hub.queue("mail").work(fail)
        job = hub.queue("mail").add(1, attempts=1)
    try:
        job.result(timeout=60)
    except agentnb.errors.JobFailed:
        pass
    import structlog
    structlog.get_logger("shop").info("order", number=17)
"""


def block(kind, start=""):
    """Return a block of the page by its language and the text that is in it."""
    return next(text for found, text in _BLOCK.findall(TEXT) if found == kind and start in text)


def section(title):
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title):
    """Return the cells of a table, without its heading."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def seconds(text):
    return int(str(text).removesuffix("s"))


def understood(words):
    """Parse a command of the service; return its options if it is agentnb's."""
    words = [Path(words[0]).name, *words[1:]]
    if words[0] == "agentnb":
        return parse(words[1:])
    if words[0] == "gunicorn":
        module, _, name = words[words.index("--worker-class") + 1].rpartition(".")
        assert hasattr(importlib.import_module(module), name)
        assert words[-1] == "service.web:app"
    return None


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_of_the_compose_file_is_understood(name):
    found = SERVICES[name]
    options = understood([str(word) for word in found.get("command", ["none"])])
    if test := found.get("healthcheck", {}).get("test"):
        assert test[0] == "CMD"
        understood(test[1:])
    if "stop_grace_period" in found:
        assert seconds(found["stop_grace_period"]) > options.grace
    for other in found.get("depends_on", ()):
        assert other in SERVICES
    volumes = [volume.partition(":")[0] for volume in found.get("volumes", ())]
    assert set(volumes) <= COMPOSE["volumes"].keys()


def test_the_compose_file_sets_what_the_page_calls_obligatory():
    variables = SERVICES["worker"]["environment"].keys()
    image = set(re.findall(r"\b([A-Z]+_\w+)=", block("dockerfile")))
    named = set(re.findall(r"`([A-Z_]+)`", "".join(row[0] for row in rows("Settings"))))
    assert named - variables - image == {"AGENTNB_DB_POOL"}
    known = {field.variable for field in FIELDS} | {"PRICES_URL"}
    assert {name for name in variables | image if name.startswith("AGENTNB")} <= known
    assert SERVICES["worker"]["stop_grace_period"]
    assert SERVICES["worker"]["read_only"] is True


def test_the_unit_of_systemd_stops_a_worker_after_its_grace():
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(block("ini"))
    service = unit["Service"]
    understood(shlex.split(service["ExecStartPre"]))
    options = understood(shlex.split(service["ExecStart"]))
    assert seconds(service["TimeoutStopSec"]) > options.grace
    assert options.app == ["service.jobs", "service.report"]
    assert service["StateDirectoryMode"] == "0700"


def test_the_errors_of_the_page_exist():
    names = re.findall(
        r"`(\w+(?:Error|Exceeded|Limited|Open|Violation|Changed))`", "\n".join(TEXT.splitlines())
    )
    assert len(names) > 8
    assert [name for name in names if name != "TimeoutError" and not hasattr(errors, name)] == []


def test_the_application_of_the_page_takes_mails(hub):
    scope = {"__name__": "example"}
    exec(block("python", "FastAPI"), scope)
    app = scope["app"]

    async def use():
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://it") as client:
                made = await client.post("/mails", params={"to": "ada"})
                return made.json()["job"], (await client.get("/ready")).json()

    job, ready = asyncio.run(use())
    assert hub.queue("mail").get(job).data == {"to": "ada"}
    assert ready["db default"] == ready["redis"] == "ok"


def test_structlog_renders_what_agentnb_logs(tmp_path, redis_home):
    (tmp_path / "logs.py").write_text(block("python", "# logs.py"))
    done = subprocess.run(
        [sys.executable, "-c", LOGGING],
        cwd=tmp_path,
        env={**os.environ, "AGENTNB_HOME": str(redis_home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    [failed] = [line for line in lines if line["level"] == "error"]
    assert failed["logger"] == "agentnb.queue"
    assert failed["correlation_id"] == "order-17"
    assert failed["exception"].endswith("ValueError: boom")
    [own] = [line for line in lines if line["logger"] == "shop"]
    assert (own["event"], own["number"]) == ("order", 17)
