"""``%%agent``: a cell that does tasks of workflows, here and in worker processes."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_cell_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import AgentnbError, UsageError
from agentnb.magics.base import Magic, Message
from agentnb.magics.body import Role, body_of, kernel_only
from agentnb.magics.made import CellFunction, CellFunctions, cell_module
from agentnb.magics.output import Logged, diverted
from agentnb.magics.workflow.grammar import AGENT, AGENT_CELL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agentnb.core.hub import Hub
    from agentnb.core.table import Table
    from agentnb.core.workflow import Context, Orchestrator, TaskInfo
    from agentnb.core.workflow.registry import Registry
    from agentnb.magics.grammar import Call

__all__ = ["AgentMagic"]

_ROLE = Role(
    "workflow",
    "run",
    "task, ctx",
    "an agent",
    'ctx.files.write_file(task.data["path"], "...")',
    "return what comes of it",
    returns=True,
)
# Each call of the database takes a millisecond or so, and an agent may print in a loop.
_PAUSE = 0.05
_OPTIONS = ("capabilities", "attempts", "timeout")

_log = logging.getLogger("agentnb.workflow")


@magics_class
class AgentMagic(Magic):
    """The magic ``%agent`` and ``%%agent``."""

    grammar = AGENT
    cell_grammar = AGENT_CELL
    body_is_python = True

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def agent(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Do tasks of workflows: `%%agent NAME` makes a cell an agent. See `%agent help`."""
        __tracebackhide__ = True
        return self.call(line, cell, local_ns)

    def __init__(self, extension: Any) -> None:
        super().__init__(extension)
        self._functions = CellFunctions()

    def reset(self) -> None:
        """Forget which cell has made what; agents are the hub's."""
        self._functions = CellFunctions()

    def status(self, call: Call) -> Table:  # noqa: ARG002 - magics share a signature
        """Return the agents."""
        from agentnb.magics.workflow.render import agents

        return agents(self.hub.workflows.agent_infos())

    def in_scope(self) -> dict[str, type]:
        """Return what an agent is given."""
        from agentnb.core.workflow import Context, TaskInfo

        return {"task": TaskInfo, "ctx": Context}

    def do_define(self, call: Call) -> Message:
        """Make a cell an agent."""
        return make_agent(call, self.hub, self.types(call), self.extension.shell, self._functions)

    def do_list(self, call: Call) -> Table:
        """Return the agents."""
        return self.status(call)

    def live(self, kind: str, start: str = "") -> Iterable[str]:  # noqa: ARG002 - few enough
        """Return agents, or the notebook's classes, for Tab."""
        if kind == "schema":
            return self.classes()
        with suppress(AgentnbError):  # nobody is helped by an error while typing
            return [one.name for one in self.hub.workflows.agent_infos()]
        return ()


def make_agent(
    call: Call, hub: Hub, types: Mapping[str, Any], shell: Any, functions: CellFunctions
) -> Message:
    """Make a cell an agent, and say what to type next.

    Parameters
    ----------
    call
        The magic's line and the cell.
    hub
        The hub, whose workflows the agent is for.
    types
        The classes of a task's data (``schema``) and result (``returns``), those that were given.
    shell
        The IPython shell.
    functions
        The functions that cells have made.
    """
    from agentnb.core.cellmodule import keep_module
    from agentnb.core.modules import module_path
    from agentnb.core.workflow.spec import check_name
    from agentnb.panels.base.registry import cell_id

    name = check_name(call.arguments[0], "an agent")
    body = body_of(call, f"%%agent {name}", _ROLE, shell)
    options = {key: call.options[key] for key in _OPTIONS if key in call.options}
    deprecated = _deprecated(call, options)
    module = cell_module(body, ("agentnb.core.workflow", "agent"), name, options, types, shell)
    function = diverted(body.bound(shell.user_ns), _TaskLog, shell)
    workflows = hub.workflows
    register = workflows.agent(name, **types, **options)
    home = hub.settings.home
    path = module_path(home, "agent", name)
    keep_module(home, path, module.text)  # where that fails, the agent of before stays
    register(function)
    # Without names of the notebook other processes find it in the home.
    workflows.registry.add(replace(workflows.registry.find(name), cell=not module.needs))
    made = CellFunction(name, path, module.text, _withdraw(name, workflows.registry))
    left = functions.replace(cell_id(shell), made)
    said = (_in_kernel(name, workflows), _elsewhere(name, module.needs), left, deprecated)
    return Message("\n".join(filter(None, said)))


def _deprecated(call: Call, options: dict[str, Any]) -> str:
    """Take a deprecated --retries for --attempts, and return the line that says so."""
    if "retries" not in call.options:
        return ""
    retries = call.options["retries"]
    if "attempts" in options:
        raise UsageError(
            "--attempts and --retries are given both",
            service="workflow",
            hint=f"--attempts {options['attempts']} alone: --retries is deprecated",
        )
    options["attempts"] = retries + 1
    return f"--retries {retries} is deprecated: use --attempts {retries + 1}"


def _withdraw(name: str, registry: Registry) -> Callable[[], tuple[bool, str]]:
    agent = registry.find(name)

    def withdraw() -> tuple[bool, str]:
        if name not in registry.registered() or registry.find(name) is not agent:
            return False, ""  # another cell's by now
        registry.remove(name)
        return True, f"{name}: no longer this cell"

    return withdraw


class _TaskLog(Logged):
    """Logs with a task what is printed while it is done; lines that come at once go together."""

    def __init__(self, task: TaskInfo, ctx: Context) -> None:
        def lost(error: AgentnbError) -> None:
            # The agent learns of a lost task as it does otherwise.
            _log.warning("the prints of task %s are no longer kept: %s", task.name, error)

        super().__init__(self._gather, lost)
        self._ctx = ctx
        self._gathered: list[str] = []
        self._kept = 0.0

    def _gather(self, line: str) -> None:
        self._gathered.append(line)
        if monotonic() - self._kept >= _PAUSE:
            self._flush()

    def _flush(self) -> None:
        lines, self._gathered = self._gathered, []
        if lines:
            self._ctx.log("\n".join(lines))
            self._kept = monotonic()

    def end(self) -> None:
        """Log what is left."""
        self._kept = 0.0
        super().end()
        self.guarded(self._flush)


def _in_kernel(name: str, workflows: Orchestrator) -> str:
    if workflows.worker is not None:
        return f"{name}: run by this cell from its next task on"
    return (
        f"{name}: run by this cell once there is a worker: %%workflow NAME --run, or %workflow work"
    )


def _elsewhere(name: str, needs: tuple[str, ...]) -> str:
    if not needs:
        return f"in a process of its own: agentnb worker --agents {name}"
    return kernel_only(needs)
