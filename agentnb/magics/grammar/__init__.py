"""The grammar of every magic: ``%noun [verb] [arguments] [--options]``, free text last.

Words are split as a shell would, but JSON is decoded where it stands, ``:name`` stands for
a value of the notebook's, and everything after ``--`` is handed on untouched.
"""

from __future__ import annotations

from agentnb.magics.grammar.parse import Grammar, value_of
from agentnb.magics.grammar.verbs import Call, Option, Verb
from agentnb.magics.grammar.words import Word, each_word, is_word, json_at, words

__all__ = [
    "Call",
    "Grammar",
    "Option",
    "Verb",
    "Word",
    "each_word",
    "is_word",
    "json_at",
    "value_of",
    "words",
]
