"""``%docker`` and ``%%docker``."""

from __future__ import annotations

from agentnb.magics.docker.magic import DockerMagic

__all__ = ["DockerMagic"]
