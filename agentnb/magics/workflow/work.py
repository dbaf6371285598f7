"""Working on a workflow in the cell that asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.magics.workflow.live import Live, follow, stands_still

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentnb.core.workflow import Orchestrator, Worker, Workflow
    from agentnb.magics.workflow.render import WorkflowView

__all__ = ["start", "work_on"]


def start(
    workflows: Orchestrator, options: Mapping[str, Any], agents: list[str] | None = None
) -> Worker:
    """Begin to work in this kernel, as these agents or as all.

    Parameters
    ----------
    workflows
        The hub's.
    options
        Those of the magic's line.
    agents
        Their names; None for all.
    """
    given = {word: options[word] for word in ("concurrency", "executor") if word in options}
    return workflows.work(agents, **given)


def work_on(
    workflows: Orchestrator, workflow: Workflow, options: Mapping[str, Any], shell: Any
) -> WorkflowView:
    """Work on a workflow until it has ended or waits for a person, and show how it goes.

    Parameters
    ----------
    workflows
        The hub's; if nobody works for it yet, its worker ends with the workflow.
    workflow
        The one that is looked at: others go on beside it.
    options
        Those of the magic's line.
    shell
        The IPython shell.

    Raises
    ------
    TaskFailed
        The workflow failed; the picture stays above the error.
    """
    ours = workflows.worker is None
    if ours:
        start(workflows, options)
    live = Live(shell, quiet="quiet" in options)
    try:
        view, _ = follow(workflow, live, until=stands_still, timeout=options.get("timeout"))
    except KeyboardInterrupt:
        print(  # noqa: T201 - what an interrupt leaves
            f"{workflow.name} still runs: %workflow watch {workflow.id}\n"
            f"cancel it: %workflow cancel {workflow.id}; stop this worker: %workflow stop"
        )
        raise
    if view.state == "active":  # somebody else may let it go on, and then it does
        live.clear()
        return view
    if ours:
        workflows.stop()
    if view.state == "failed":
        workflow.wait(timeout=0)
    live.clear()
    return view
