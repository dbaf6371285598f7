"""A new project: settings, agents, a notebook, a test and the image of a worker."""

from __future__ import annotations

from agentnb.core.project.making import Made, init_project

__all__ = ["Made", "init_project"]
