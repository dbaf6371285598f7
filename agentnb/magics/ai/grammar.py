"""The options of ``%%ai``."""

from __future__ import annotations

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import names, seconds

__all__ = ["CELL", "GRAMMAR"]

_EXAMPLES = (
    "%ai                                     (the model that is asked, and the tools)",
    "%ai Why is the sky blue?                (a question on the line, with the defaults)",
    "%%ai --tools db,files                   (the question is the cell)",
    "%%ai --model openai:MODEL --as answer   (the answer is the variable answer, too)",
)

GRAMMAR = Grammar(
    "ai",
    "ask a language model; needs the extra ai",
    (Verb("show", "show the model of the settings, and the groups of tools", twin="hub.llm()"),),
    free="QUESTION",
    examples=_EXAMPLES,
    service="llm",
)

CELL = Grammar(
    "ai",
    "ask a language model what stands in the cell; its words come as they are said",
    (
        Verb(
            "cell",
            "ask a model",
            (),
            (
                Option(
                    ("--model",), "the model, such as openai:NAME (default: AGENTNB_LLM)", "MODEL"
                ),
                Option(("--url",), "an API of OpenAI's form (default: AGENTNB_LLM_URL)", "URL"),
                Option(
                    ("--tools",),
                    "groups of tools that read: db,files,git,events,queue,workflow",
                    "GROUPS",
                    names,
                    adds=True,
                    live="tools",
                ),
                Option(("--system",), "instructions, in quotes or :name", "TEXT"),
                Option(("--as",), "the variable that the answer is kept in", "NAME"),
                Option(("--timeout",), "seconds that it may take (default 120)", "S", seconds),
            ),
            cell=True,
            twin="Agent(hub.llm(), tools=hub.tools()).run(PROMPT)",
        ),
    ),
    examples=_EXAMPLES,
    service="llm",
)
