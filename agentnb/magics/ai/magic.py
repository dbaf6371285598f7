"""``%%ai``: one question to a language model, whose words come into the cell."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_cell_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import UsageError
from agentnb.core.llm import require_ai
from agentnb.core.redact import has_password
from agentnb.core.table import Table
from agentnb.magics.ai.grammar import CELL, GRAMMAR
from agentnb.magics.ai.show import LiveAnswer
from agentnb.magics.base import Magic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.ai.asking import Question
    from agentnb.magics.grammar import Call

__all__ = ["AiMagic"]

_TIMEOUT = 120.0
_LONGEST = 400_000


@magics_class
class AiMagic(Magic):
    """The magic ``%ai``."""

    grammar = GRAMMAR
    cell_grammar = CELL

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def ai(self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None) -> Any:
        """Ask a language model the question in the cell: `%%ai`. See `%ai help`."""
        return self.call(line, cell, local_ns)

    def reset(self) -> None:
        """Do nothing: the magic has no state."""

    def status(self, call: Call) -> Table:
        """Return the model of the settings, and the groups of tools."""
        return self.do_show(call)

    def free(self, call: Call, cell: str | None, namespace: Any) -> None:  # noqa: ARG002 - as every magic
        """Ask a model the question on the line."""
        call.body = call.text
        self.do_cell(call)

    def do_show(self, call: Call) -> Table:  # noqa: ARG002 - as every verb
        """Return the model of the settings, and the groups of tools."""
        from agentnb.core.tools import GROUPS

        settings = self.hub.settings
        rows = [
            ("model", settings.llm or "none: set AGENTNB_LLM=openai:MODEL"),
            ("API", settings.redactor(settings.llm_url or "the provider's own")),
            ("key", "AGENTNB_LLM_KEY" if settings.llm_key else "the provider's own variable"),
            ("tools", f"none; %%ai --tools {','.join(GROUPS)}"),
        ]
        return Table(("setting", "value"), rows)

    def do_cell(self, call: Call) -> None:
        """Ask a model the question in the cell."""
        options = call.options
        name = options.get("as")
        if name is not None and not str(name).isidentifier():
            raise UsageError(
                f"--as must be a variable, got {name!r:.60}", service="llm", hint="--as answer"
            )
        prompt = (call.body or "").strip()
        if not prompt or len(prompt) > _LONGEST:
            raise UsageError(
                f"a question has 1 to {_LONGEST:,} characters, got {len(prompt):,}",
                service="llm",
                hint="write it below the line %%ai",
            )
        if has_password(str(options.get("url", ""))):
            raise UsageError(
                "a password in a magic's line would be saved with the notebook",
                service="llm",
                hint="put it into .env: AGENTNB_LLM_URL=..., AGENTNB_LLM_KEY=...",
            )
        require_ai("%%ai")
        from agentnb.ai.asking import Question

        hub = self.hub
        tools = options.get("tools")
        question = Question(
            hub.llm(options.get("model"), base_url=options.get("url")),
            prompt,
            hub.tools(tools) if tools else (),
            options.get("system"),
            options.get("timeout", _TIMEOUT),
            hub.settings.redactor,
        )
        answer = self._asked(question, quiet="quiet" in options)
        if name is not None and answer is not None:
            self.extension.shell.user_ns[name] = answer

    def _asked(self, question: Question, *, quiet: bool) -> str | None:
        """Show an answer as it comes, and return it; None where it was interrupted."""
        live = LiveAnswer(self.extension.shell, quiet=quiet)
        model = question.model.model_name
        with self.hub.tracer.span("ask", service="llm", model=model) as span:
            try:
                with closing(question.words()) as words:
                    for word in words:
                        live.add(word, f"{model} …")
            except KeyboardInterrupt:
                live.end(f"{model}: interrupted")
                return None
            except BaseException:
                if live.text:
                    live.end(f"{model}: failed")
                raise
            used = question.usage
            span.note(
                **{
                    "gen_ai.operation.name": "chat",
                    "gen_ai.request.model": model,
                    "gen_ai.usage.input_tokens": used.input_tokens,
                    "gen_ai.usage.output_tokens": used.output_tokens,
                }
            )
        called = [f"{tool} ×{n}" if n > 1 else tool for tool, n in Counter(question.called).items()]
        live.end("; ".join([model, str(used), *([", ".join(called)] if called else [])]))
        return question.output

    def live(self, kind: str, start: str = "") -> Iterable[str]:  # noqa: ARG002 - few enough
        """Return the groups of tools, for Tab."""
        from agentnb.core.tools import GROUPS

        return GROUPS if kind == "tools" else ()
