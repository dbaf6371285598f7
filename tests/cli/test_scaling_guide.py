"""The page about many machines: its commands, files, metrics and variables are those that exist."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from agentnb.cli.parser import parse
from agentnb.core.settings import FIELDS

PAGE = Path(__file__).parents[2] / "notebooks" / "guide" / "scaling.md"
TEXT = PAGE.read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = _BLOCK.findall(TEXT)
DOCUMENTS = [one for kind, text in BLOCKS if kind == "yaml" for one in yaml.safe_load_all(text)]
COMPOSE = next(one for one in DOCUMENTS if "services" in one)
CLUSTER = {one["kind"]: one for one in DOCUMENTS if "kind" in one}
VARIABLES = {field.variable for field in FIELDS}


def seconds(text):
    return int(str(text).removesuffix("s"))


def container_of(kind):
    [found] = CLUSTER[kind]["spec"]["template"]["spec"]["containers"]
    return found


def understood(words):
    """Return the options of a command of agentnb."""
    assert words[0] == "agentnb"
    return parse([str(word) for word in words[1:]])


def test_the_variables_of_the_page_are_settings():
    named = set(re.findall(r"\b(AGENTNB_\w+|REDIS_URL|DATABASE_URL)\b", TEXT))
    assert named <= VARIABLES
    assert {"REDIS_URL", "DATABASE_URL", "AGENTNB_KEY_PREFIX", "AGENTNB_METRICS"} <= named


def test_the_commands_of_the_page_are_understood():
    lines = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
    assert lines
    for line in lines:
        understood(shlex.split(line))
    for line in re.findall(r"`(agentnb [^`]+)`", TEXT):
        understood(shlex.split(line))


def test_the_compose_file_stops_a_worker_after_its_grace():
    worker = COMPOSE["services"]["worker"]
    options = understood(worker["command"])
    assert options.queue == ["mail"]
    assert options.metrics == "0.0.0.0:9464"
    assert seconds(worker["stop_grace_period"]) > options.grace
    assert worker["healthcheck"]["test"][0] == "CMD"
    assert understood(worker["healthcheck"]["test"][1:]).worker
    assert worker["environment"].keys() <= VARIABLES
    assert COMPOSE["volumes"].keys() == {"redis"}


def test_a_pod_has_more_time_to_end_than_its_grace_and_probes_that_exist():
    pod = CLUSTER["Deployment"]["spec"]["template"]["spec"]
    worker = container_of("Deployment")
    options = understood(worker["command"])
    assert pod["terminationGracePeriodSeconds"] > options.grace
    variables = {one["name"]: one.get("value") for one in worker["env"]}
    assert variables.keys() <= VARIABLES
    [port] = worker["ports"]
    assert variables["AGENTNB_METRICS"] == f"0.0.0.0:{port['containerPort']}"
    assert worker["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert worker["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    mounted = {one["name"]: one["mountPath"] for one in worker["volumeMounts"]}
    assert mounted["home"] == variables["AGENTNB_HOME"]
    assert [one["name"] for one in pod["volumes"]] == ["home"]


def test_the_other_objects_of_the_cluster_fit_the_deployment():
    name = CLUSTER["Deployment"]["metadata"]["name"]
    scaler = CLUSTER["HorizontalPodAutoscaler"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == name
    [rule] = next(one["externalRules"] for one in DOCUMENTS if "externalRules" in one)
    assert scaler["metrics"][0]["external"]["metric"]["name"] == rule["name"]["as"]
    assert understood(container_of("Job")["command"])
    selector = CLUSTER["Deployment"]["spec"]["selector"]["matchLabels"]
    assert CLUSTER["Deployment"]["spec"]["template"]["metadata"]["labels"] == selector


def test_pgbouncer_s_file_is_read():
    found = configparser.ConfigParser()
    found.read_string(next(text for kind, text in BLOCKS if kind == "ini"))
    assert found["pgbouncer"]["pool_mode"] == "transaction"


@pytest.fixture
def metrics(hub):
    """Return the names of the metrics of a hub with a queue and an agent, with their labels."""
    from agentnb.core.metrics.collector import MetricsCollector
    from agentnb.core.metrics.depths import DepthReader

    hub.workflows.agent("write")(lambda task: task)
    hub.workflows.work()
    hub.queue("mail").add(1)
    registry = CollectorRegistry()
    depths = DepthReader(hub, queues=lambda: ["mail"], agents=lambda: ["write"], timeout=30)
    registry.register(MetricsCollector(hub, depths))
    found = {}
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for one in family.samples for label in one.labels} - {"le"}
        found[name] = labels
    return found


def test_the_metrics_of_the_page_are_those_that_there_are(metrics):
    rows = re.findall(r"^\| (`agentnb_.*?) \| (.*?) \|", TEXT, re.MULTILINE)
    named = {name for cell, _ in rows for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(metrics)
    for cell, labels in rows:
        names = re.findall(r"`(\w+)`", cell)
        if "the same" not in labels and " or " not in labels and metrics[names[0]]:
            assert set(re.findall(r"`(\w+)`", labels)) == metrics[names[0]]
    used = set(re.findall(r"\b(agentnb_\w+)[{)\[]", TEXT))
    assert used <= set(metrics) | {"agentnb_queue_jobs_waiting"}
