"""The semicolons inside the body of a trigger, a function or a procedure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.db.syntax import Syntax

__all__ = ["Body", "body_of"]

_CREATE = r"create (?:or replace |(?:temp|temporary) )?"
_TRIGGER = re.compile(rf"{_CREATE}trigger\b")
_SQLITE_TRIGGER = re.compile(r"(?:explain (?:query plan )?)?create (?:temp |temporary )?trigger\b")
_FUNCTION = re.compile(rf"{_CREATE}(?:function|procedure)\b")
_LOOPS = {"if", "loop", "while", "repeat"}
# Behind the words that may define one, as in `create definer = root@localhost procedure`.
_ROUTINES = {"procedure", "function", "trigger", "event", "package"}
_TRANSACTIONS = {"transaction", "tran", "work", "deferred", "immediate", "exclusive", "isolation"}
_TRANSACTIONS |= {"read", "distributed", "concurrent"}


class Body:
    """Follows the tokens of one statement; says whether a semicolon ends it.

    This one takes a statement for ended at its first semicolon.
    """

    def __init__(self) -> None:
        self.words: list[str] = []
        self.before = ""  # the last token that is neither a space nor a comment

    def word(self, word: str) -> None:
        """Take a bare word in lower case; one behind a dot is a name and no keyword."""
        if self.before != ".":
            self.words.append(word)
            self.keyword(word)
        self.before = word

    def other(self, text: str) -> None:
        """Take a token that is no word, space, comment or semicolon."""
        self.before = text

    def semicolon(self) -> bool:
        """Take a semicolon; return whether it ends the statement."""
        self.before = ";"
        return True

    def keyword(self, word: str) -> None:
        """Take a word that may be a keyword."""

    def end(self) -> None:
        """Take the end of the statement; raise if it may not be one."""

    @property
    def start(self) -> str:
        """The first words, enough to tell what the statement defines."""
        return " ".join(self.words[:6])


class _SQLite(Body):
    """A trigger ends with ``; end ;`` and with nothing else, as SQLite itself has it."""

    def __init__(self) -> None:
        super().__init__()
        self._trigger = False
        self._ending = False

    def keyword(self, word: str) -> None:
        if word == "trigger" and len(self.words) <= 6:  # noqa: PLR2004 - explain query plan create temp
            self._trigger = self._trigger or bool(_SQLITE_TRIGGER.match(self.start))
        self._ending = word == "end" and self.before == ";"

    def other(self, text: str) -> None:
        super().other(text)
        self._ending = False

    def semicolon(self) -> bool:
        ended = not self._trigger or self._ending
        self._ending = False
        super().semicolon()
        return ended


class _Blocks(Body):
    """Counts the blocks that are open: those of BEGIN and CASE."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.parentheses = 0

    def other(self, text: str) -> None:
        super().other(text)
        self.parentheses += {"(": 1, ")": -1}.get(text, 0)

    def semicolon(self) -> bool:
        super().semicolon()
        return self.depth <= 0

    def count(self, word: str) -> None:
        """Count a word that opens or ends a block."""
        if self.before == "as":  # `select 1 as end` is a name
            return
        if word == "begin" or (word == "case" and self.before != "end"):
            self.depth += 1
        elif word == "end":
            self.depth -= self.depth > 0


class _Postgres(_Blocks):
    """Only functions in the form of the SQL standard have blocks; rules have parentheses.

    Source: src/fe_utils/psqlscan.l of PostgreSQL, whose rules these are.
    """

    def keyword(self, word: str) -> None:
        opens = word == "begin" or bool(self.depth)
        if opens and not self.parentheses and _FUNCTION.match(self.start):
            self.count(word)

    def semicolon(self) -> bool:
        return super().semicolon() and self.parentheses <= 0


class _MySQL(_Blocks):
    """Procedures, functions, triggers and events have blocks, whose ENDs may name their kind."""

    def __init__(self) -> None:
        super().__init__()
        self._routine = False
        self._unclear = False

    def keyword(self, word: str) -> None:
        first = self.words[0]
        if not self.depth and not self.parentheses:
            created = first == "create" and word in _ROUTINES and "as" not in self.words
            self._routine = self._routine or created
            if first == "begin" and self.words[1:] == ["not", "atomic"]:
                self._routine, self.depth = True, 1
        if not self._routine or (word == "begin" and self.parentheses):
            return
        if self.before == "end" and word in _LOOPS:
            self.depth += 1  # it was the end of no block
        elif not self.depth and word in {"then", "while", "loop"}:
            self._unclear = True
        else:
            self.count(word)

    def end(self) -> None:
        if self._unclear:
            raise UsageError(
                "the end of this body is not clear: it has semicolons but no BEGIN",
                service="db",
                hint="put the body between BEGIN and END",
            )


class _Generic(_Blocks):
    """A trigger's BEGIN, and one that is ATOMIC, open a block."""

    def __init__(self) -> None:
        super().__init__()
        self._trigger = False

    def keyword(self, word: str) -> None:
        if word == "atomic" and self.before == "begin" and self.words[0] == "create":
            self._trigger, self.depth = True, max(self.depth, 1)
            return
        if len(self.words) <= 4:  # noqa: PLR2004 - create or replace trigger
            self._trigger = self._trigger or bool(_TRIGGER.match(self.start))
        if self._trigger:
            self.count(word)


class _Unknown(_Generic):
    """As `_Generic`; refuses blocks whose ends differ from one database to the next."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = False

    def keyword(self, word: str) -> None:
        super().keyword(word)
        routine = self.words[0] == "create" and bool(_ROUTINES & set(self.words[1:5]))
        if self.words[0] == "begin" and len(self.words) > 1:
            self._begun = self.words[1] not in _TRANSACTIONS
        elif word == "begin" and len(self.words) > 1:
            self._begun = routine or self.words[0] in {"declare", "if", "while"}

    def end(self) -> None:
        if self._begun:
            raise UsageError(
                "agentnb does not know where the body of this statement ends",
                service="db",
                hint="run it through SQLAlchemy: "
                "with hub.db.engine.begin() as c: c.exec_driver_sql(text)",
            )


_RULES: dict[str, Callable[[], Body]] = {
    "generic": _Generic,
    "sqlite": _SQLite,
    "postgres": _Postgres,
    "mysql": _MySQL,
    "unknown": _Unknown,
}


def body_of(syntax: Syntax) -> Body:
    """Return a follower of one statement of a database."""
    return _RULES[syntax.body]()
