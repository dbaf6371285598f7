"""Buttons for what people decide: approve or reject a task, retry, pause, cancel the workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.format import cut
from agentnb.panels.base import Confirm, button, row, text_box
from agentnb.panels.base.cells import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.workflow import TaskInfo, Workflow
    from agentnb.panels.base import Panel
    from agentnb.panels.workflow.snapshot import Snapshot

__all__ = ["Approvals"]

_LABEL = 30  # characters of a name on a button

_RETRIED = {"failed", "cancelled"}


class Approvals:
    """Buttons for the workflow that is shown; those for one task are for the picked one.

    Without a picked task they are for the only one that waits for approval.

    Parameters
    ----------
    panel
        Shows results and errors.
    snapshot
        Returns the last snapshot.
    picked
        Returns the name of the picked task.
    """

    def __init__(
        self,
        panel: Panel,
        snapshot: Callable[[], Snapshot | None],
        picked: Callable[[], str | None],
    ) -> None:
        self._seen, self._picked = snapshot, picked
        act = panel.action
        self.approve = button(
            "Approve",
            act(self._approve, panel.say),
            tooltip="Let the task that waits for it begin",
            icon="check",
            primary=True,
        )
        self.reason = text_box(
            placeholder="Why not? (optional)", tooltip="Reason of a rejection", width="180px"
        )
        self.reject = Confirm(
            panel,
            "Reject…",
            self._ask_reject,
            self._reject,
            tooltip="Let the task that waits for approval fail",
            icon="times",
            back="Back",
        )
        self.retry = button(
            "Retry",
            act(self._retry, panel.say),
            tooltip="Let what failed or was cancelled run again",
            icon="repeat",
        )
        self.pause = button(
            "Pause",
            act(self._pause, panel.say),
            tooltip="Let no task begin until it is resumed; what runs goes on",
            icon="pause",
        )
        self.cancel = Confirm(
            panel,
            "Cancel…",
            self._ask_cancel,
            self._cancel,
            tooltip="End the workflow; what runs is asked to stop",
            icon="ban",
            back="Back",
        )
        decisions = (self.approve, self.reject, self.reason)
        self.widget = row(*decisions, self.retry, self.pause, self.cancel)
        self.show(None, None)

    def reset(self) -> None:
        """Take every question back, since it would be another by now."""
        for one in (self.reject, self.cancel):
            if one.asking:
                one.reset()

    def show(self, snapshot: Snapshot | None, picked: str | None) -> None:
        """Offer what can be done now."""
        asking = _asking(snapshot, picked)
        one = asking[0] if len(asking) == 1 else None
        self.approve.description = f"Approve {_short(one.name)}" if one else "Approve"
        self.approve.disabled = self.reject.first.disabled = one is None
        for part in (self.approve, self.reject.widget, self.reason):
            part.layout.display = None if asking else "none"
        again = _again(snapshot, picked)
        self.retry.description = f"Retry {_short(again)}" if again else "Retry"
        self.retry.disabled = not _can_retry(snapshot)
        ended = snapshot is None or snapshot.chosen is None or snapshot.chosen.state != "active"
        self.cancel.first.disabled = self.pause.disabled = ended
        paused = snapshot is not None and _is_paused(snapshot.chosen)
        self.pause.description = "Resume" if paused else "Pause"
        self.pause.icon = "play" if paused else "pause"

    def _workflow(self) -> Workflow:
        snapshot = self._seen()
        if snapshot is None or snapshot.chosen is None:
            raise UsageError("no workflow is shown", service="workflow", hint="click on one")
        return snapshot.chosen

    def _one_asking(self) -> tuple[Workflow, TaskInfo]:
        workflow = self._workflow()
        asking = _asking(self._seen(), self._picked())
        if len(asking) != 1:
            raise UsageError(
                f"{len(asking)} tasks wait for approval"
                if asking
                else "no task waits for approval",
                service="workflow",
                hint="click on one" if asking else None,
            )
        return workflow, asking[0]

    def _approve(self) -> str:
        workflow, task = self._one_asking()
        workflow.approve(task.name)
        return f"{plain(task.name)} is approved"

    def _ask_reject(self) -> tuple[str, Any]:
        workflow, task = self._one_asking()
        return f"Reject {_short(task.name)}", (workflow, task.name)

    def _reject(self, subject: tuple[Workflow, str]) -> str:
        workflow, name = subject
        workflow.reject(name, reason=self.reason.value.strip())
        self.reason.value = ""
        return f"{plain(name)} is rejected"

    def _retry(self) -> str:
        workflow = self._workflow()
        name = _again(self._seen(), self._picked())
        workflow.retry(name)
        return f"{plain(name) if name else 'what failed'} runs again"

    def _pause(self) -> str:
        workflow = self._workflow()
        if _is_paused(workflow):
            workflow.resume()
            return f"{plain(workflow.name)} is resumed"
        workflow.pause()
        return f"{plain(workflow.name)} is paused: what runs goes on, no other task begins"

    def _ask_cancel(self) -> tuple[str, Workflow]:
        workflow = self._workflow()
        return f"Cancel {_short(workflow.name)}", workflow

    def _cancel(self, workflow: Workflow) -> str:
        workflow.cancel()
        return f"{plain(workflow.name)} is cancelled"


def _is_paused(workflow: Workflow | None) -> bool:
    return workflow is not None and workflow.standing == "paused"


def _asking(snapshot: Snapshot | None, picked: str | None) -> list[TaskInfo]:
    tasks = [task for task in (snapshot.tasks if snapshot else []) if task.state == "approval"]
    chosen = [task for task in tasks if task.name == picked]
    return chosen or tasks


def _again(snapshot: Snapshot | None, picked: str | None) -> str | None:
    """Return the task that is tried again; None for all that have failed."""
    tasks = snapshot.tasks if snapshot else []
    return next((t.name for t in tasks if t.name == picked and t.state in _RETRIED), None)


def _can_retry(snapshot: Snapshot | None) -> bool:
    return snapshot is not None and any(task.state in _RETRIED for task in snapshot.tasks)


def _short(text: str) -> str:
    return cut(plain(text), _LABEL)
