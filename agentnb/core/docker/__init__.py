"""Containers and images: a real engine, by the docker SDK, safe by default."""

from __future__ import annotations

from agentnb.core.docker.manager import DockerManager
from agentnb.core.docker.networks import Network
from agentnb.core.docker.policy import POLICIES, Policy
from agentnb.core.docker.results import (
    BuildResult,
    Container,
    ExecResult,
    PullResult,
    RunResult,
    Stats,
)
from agentnb.core.docker.service import Service

__all__ = [
    "POLICIES",
    "BuildResult",
    "Container",
    "DockerManager",
    "ExecResult",
    "Network",
    "Policy",
    "PullResult",
    "RunResult",
    "Service",
    "Stats",
]
