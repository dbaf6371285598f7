"""The docker panel: containers with their usage and output, and the images built here."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.errors import NotFoundError, RejectedError, UsageError
from agentnb.core.table import Column
from agentnb.panels.base import (
    Confirm,
    Indicator,
    Instruction,
    Paced,
    Panel,
    Plot,
    Spark,
    TableView,
    TextBlock,
    label,
    row,
    split,
    stack,
    text_box,
)
from agentnb.panels.base.cells import plain

if TYPE_CHECKING:
    from agentnb.core.docker import DockerManager
    from agentnb.core.hub import Hub
    from agentnb.core.table import Table

__all__ = ["DockerPanel", "make"]

TAIL = 500
_SHOWN = 200
_HISTORY = 12
# Listing the images may take this share of the time: with thousands of them it is slow.
_SHARE = 0.2
_EMPTY = (
    "No containers. Type in a cell:  %docker run IMAGE -d -- COMMAND   or, over a script:  "
    "%%docker run IMAGE"
)
_NO_IMAGES = "No image has been built here. Type over a Dockerfile:  %%docker build -t TAG"
_PICK = Instruction("Select a container to see its log and its usage.")
_MB = 1024**2


class _Loaded(NamedTuple):
    """The state of the engine, read at one time."""

    containers: Table
    usage: dict[str, tuple[float | None, int, int]]
    images: Table
    networks: list[Any]
    picked: str | None
    log: str | None
    matches: str


class DockerPanel:
    """The state and the actions of the panel; `panel` composes the widgets.

    Parameters
    ----------
    hub
        The hub.
    every
        Seconds between two looks at the engine.
    """

    def __init__(self, hub: Hub, *, every: float | None = 2.0) -> None:
        self._hub = hub
        self._picked: str | None = None
        self._pattern = ""
        self._histories: dict[str, deque[float | None]] = {}
        self._images: Paced[Table] = Paced(_SHARE)
        self._networks: Paced[list[Any]] = Paced(_SHARE)
        self.panel = Panel("Docker", every=every, redactor=hub.settings.redactor)
        act = self.panel.action
        self.containers = TableView(
            ("name", "cpu %", Column("memory", "size"), "status", "image", "ports"),
            key="name",
            label="Containers",
            hint=_EMPTY,
            on_select=act(self._pick),
            height="300px",
            quiet=("cpu %", "memory", "status"),
            noun=("container", "containers"),
        )
        self.images = TableView(
            ("image", Column("size", "size"), Column("created", "time"), "id"),
            key="image",
            label="Images",
            hint=_NO_IMAGES,
            height="200px",
            filterable=False,
            noun=("image", "images"),
        )
        self.networks = TableView(
            ("network", "containers", "id"),
            key="network",
            label="Networks",
            height="120px",
            filterable=False,
            noun=("network", "networks"),
        )
        self.about = label(_PICK, dim=True)
        self.cpu = Plot("Processor", "%")
        self.memory = Plot("Memory", "MB")
        self.filter = text_box(
            placeholder="Lines that contain… · Enter",
            tooltip="Filter of the log",
            on_change=act(self._filter),
        )
        self.log = TextBlock("Log")
        self.log_about = label("", dim=True)
        self.stop = Confirm(
            self.panel,
            "Stop and remove",
            self._ask,
            self._stop,
            tooltip="Stop the selected container and remove it",
        )
        self.beside = [self.stop, self.cpu, self.memory, row(self.filter, self.log_about), self.log]
        self._show_beside(shown=False)
        _display(self.networks, shown=False)
        self.panel.compose(
            split(
                stack(self.containers, self.images, self.networks),
                stack(row(self.about, self.stop), *self.beside[1:]),
                wide_left=True,
            )
        ).keep_fresh(self._load, self._show)

    @property
    def _docker(self) -> DockerManager:
        return self._hub.docker

    def _pick(self, name: str) -> None:
        with self.panel.lock:
            if name == self._picked:
                return
            self._picked = name
            self.stop.reset()
            # What another one used is no part of this one's line.
            self.cpu.clear()
            self.memory.clear()

    def _show_beside(self, *, shown: bool) -> None:
        """Show the numbers and the log of a container, where one is picked."""
        for part in self.beside:
            _display(part, shown=shown)

    def _filter(self, text: str) -> None:
        with self.panel.lock:
            self._pattern = text.strip()

    def _load(self) -> _Loaded:
        with self.panel.lock:
            picked, text = self._picked, self._pattern
        docker = self._docker
        containers = docker.list()
        usage = {name: (cpu, memory, most) for name, cpu, memory, most, _ in docker.usage().rows}
        images, networks = self._images.get(docker.images), self._networks.get(self._network_rows)
        log, found = (None, "") if picked is None else self._log_of(picked, text)
        return _Loaded(containers, usage, images, networks, picked, log, found)

    def _network_rows(self) -> list[Any]:
        with suppress(NotFoundError, RejectedError):  # an engine's proxy may deny them
            return list(self._docker.networks().rows)
        return []

    def _log_of(self, name: str, text: str) -> tuple[str | None, str]:
        logs = None
        with suppress(NotFoundError, RejectedError):  # it has gone in the meantime
            logs = self._docker.get_container_logs(name, tail=TAIL)
        if logs is None:
            return None, ""
        shown = logs.matching(text) if text else logs
        found = f"{len(shown):,} of the last {len(logs):,} lines" if text else ""
        return shown.end(_SHOWN), found

    def _show(self, loaded: _Loaded) -> None:
        self._keep(loaded.usage)
        rows = []
        for name, image, state, status, ports, _, _ in loaded.containers.rows:
            used = loaded.usage.get(name)
            cpu = Spark(used[0], self._histories[name]) if used else ""
            memory = used[1] if used else None
            # The engine says it in relative times, such as "Up 3 seconds".
            rows.append((name, cpu, memory, Indicator(status, saved=state), image, ports))
        self.containers.update(rows)
        self.images.update(loaded.images)
        self.networks.update(loaded.networks)
        _display(self.networks, shown=bool(loaded.networks))
        if loaded.picked == self._picked:
            self._show_picked(loaded)

    def _keep(self, usage: dict[str, tuple[float | None, int, int]]) -> None:
        for gone in self._histories.keys() - usage.keys():
            del self._histories[gone]
        for name, (cpu, _, _) in usage.items():
            self._histories.setdefault(name, deque(maxlen=_HISTORY)).append(cpu)

    def _show_picked(self, loaded: _Loaded) -> None:
        name = loaded.picked
        if name is None:
            return
        self._show_beside(shown=True)
        words = f"<strong>{escape(plain(name))}</strong>"
        row_ = next((one for one in loaded.containers.rows if one[0] == name), None)
        self.stop.first.disabled = row_ is None
        if row_ is None:
            self.about.value = f"{words} · gone: it was removed"
            self.log.show("")
            return
        self.about.value = " · ".join([words, *(escape(plain(row_[at])) for at in (2, 3, 5))])
        used = loaded.usage.get(name)
        self.cpu.add(used[0] if used else None)
        self.memory.add(round(used[1] / _MB, 1) if used else None)
        self.log_about.value = escape(loaded.matches)
        self.log.show(loaded.log or "nothing was printed")

    def _ask(self) -> tuple[str, str]:
        if self._picked is None:
            raise UsageError(
                "no container is selected", service="docker", hint="click a container in the list"
            )
        return f"Stop and remove {plain(self._picked)}", self._picked

    def _stop(self, name: str) -> str:
        self._docker.stop_container(name)
        return f"{plain(name)}: stopped and removed"


def _display(part: Any, *, shown: bool) -> None:
    getattr(part, "widget", part).layout.display = None if shown else "none"


def make(hub: Hub, **options: Any) -> Panel:
    """Return the docker panel of a hub.

    Parameters
    ----------
    hub
        The hub.
    **options
        As `DockerPanel` takes them.
    """
    return DockerPanel(hub, **options).panel
