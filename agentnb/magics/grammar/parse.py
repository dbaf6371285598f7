"""The parser of a magic's lines."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from agentnb.core.errors import UsageError, did_you_mean
from agentnb.core.ranges import OutsideError
from agentnb.magics.grammar.help import help_of, help_of_verb
from agentnb.magics.grammar.verbs import HELP, QUIET, Call, Option, Verb
from agentnb.magics.grammar.words import BIND, Word, each_word, is_comment, word_at, words

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Grammar", "value_of"]

_OPTION = re.compile(r"--?[A-Za-z][\w-]*")


class Grammar:
    """The verbs and options of one magic.

    Parameters
    ----------
    noun
        The magic's name.
    about
        One line for the help.
    verbs, options
        The verbs; ``help``, ``--help`` and ``--quiet`` are always there.
    free
        The name of free text in the help, such as ``"SQL"``; ``""`` if a line is
        always a verb.
    examples
        Lines for the help.
    elsewhere
        Verbs that other programs have, each with the one that does the same here.
    bare
        The verb that a line without words stands for, whose options it takes.
    foreign
        Options that other programs have, each with what does the same here; those of one verb
        are written with it: ``"ps -a"``.
    service
        The service of its errors; by default the noun.
    """

    def __init__(
        self,
        noun: str,
        about: str,
        verbs: tuple[Verb, ...],
        *,
        options: tuple[Option, ...] = (),
        free: str = "",
        examples: tuple[str, ...] = (),
        elsewhere: Mapping[str, str] | None = None,
        bare: str = "",
        foreign: Mapping[str, str] | None = None,
        service: str = "",
    ) -> None:
        self.noun = noun
        self.service = service or noun
        self.about = about
        help_ = Verb("help", "print this, or more about a verb", ("[VERB]",))
        self.verbs = {verb.name: verb for verb in (*verbs, help_)}
        self.options = (*options, QUIET, HELP)
        self.free = free
        self.examples = examples
        self.elsewhere = elsewhere or {}
        self.bare = bare
        self.foreign = foreign or {}

    def parse(self, line: str, namespace: Mapping[str, Any]) -> Call:
        """Parse a line.

        Parameters
        ----------
        line
            The text after ``%noun``.
        namespace
            The variables for ``:name``.

        Raises
        ------
        UsageError
            An unknown verb or option, with the nearest known one, or a value that is
            not what an option takes.
        """
        options, at = self._leading(line, namespace)
        call = Call(options=options, text=line[at:].strip(), namespace=namespace)
        if is_comment(call.text) and (self.bare or not self.free):
            call.text = ""
        if not call.text:
            return call
        verb = self._verb(line, at, namespace)
        if verb is None:
            return call
        call.verb, call.text = verb.name, ""
        if verb.free:
            found, call.text = self._up_to_free(verb, line, at)
        else:
            found, call.rest = words(line, start=at, service=self.service)
        known = (*self.options, *verb.options)
        call.words = self._take_options(found[1:], known, call.options, namespace, verb.name)
        self.refuse_ignored(verb, call.options)
        if call.rest is not None and not (verb.rest or self.free or "help" in call.options):
            raise UsageError(
                f"%{self.noun} {verb.name} takes nothing behind --",
                service=self.service,
                hint=f"%{self.noun} {verb.usage}",
            )
        call.arguments = [value_of(word, namespace) for word in call.words]
        count = len(call.words)
        if not verb.takes(count) and "help" not in call.options:
            raise UsageError(
                f"%{self.noun} {verb.name} takes {' '.join(verb.arguments) or 'no arguments'}"
                f", not {count} argument{'' if count == 1 else 's'}",
                service=self.service,
                hint=self._likely(verb, call.words),
            )
        return call

    def refuse_ignored(self, verb: Verb, options: Mapping[str, Any]) -> None:
        """Refuse an option of the magic that has no effect on the verb.

        Raises
        ------
        UsageError
            There is one.
        """
        taken = {option.key for option in self.options_of(verb)}
        for option in self.options:
            if option.key in options and option.key not in taken:
                raise UsageError(
                    f"%{self.noun} {verb.name} takes no {option.names[-1]}",
                    service=self.service,
                    hint=f"%{self.noun} {verb.usage}",
                )
        for option in verb.options:
            if option.key in options and (why := option.idle(options)):
                raise UsageError(why, service=self.service, hint=f"%{self.noun} help {verb.name}")

    def options_of(self, verb: Verb) -> tuple[Option, ...]:
        """Return the options that a verb takes: its own and those of the magic."""
        of_all = (one for one in self.options if one.verbs is None or verb.name in one.verbs)
        return (*verb.options, *of_all)

    def _likely(self, verb: Verb, found: list[Word]) -> str:
        """Return how a line with a wrong number of arguments is written."""
        count = len(verb.arguments)
        kept, more = found[:count], found[count:]
        plain = more and all(word.kind == "plain" for word in found)
        start = " ".join((f"%{self.noun} {verb.name}", *(word.text for word in kept)))
        if plain and verb.rest:
            return f"{start} -- {' '.join(word.text for word in more)}"
        if plain and verb.arguments and verb.arguments[-1].strip("[]") == "DATA":
            start = start.removesuffix(kept[-1].text)
            text = " ".join(word.text for word in (kept[-1], *more))
            return f'a text of several words is in quotes: {start}"{text}"'
        return f"%{self.noun} {verb.usage}"

    def _leading(self, line: str, namespace: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """Take the options in front; the rest may be SQL and is left as it is."""
        options: dict[str, Any] = {}
        at = 0
        while True:
            at += len(line[at:]) - len(line[at:].lstrip())
            match = _OPTION.match(line, at)
            if match is None:
                return options, at
            option = self._option(match.group(), self.options, "")
            at = match.end()
            equals = line[at : at + 1] == "="
            if self._is_flag(option, equals=equals):
                self._set(options, option, value=True)
                continue
            if equals:
                at += 1
            rest = line[at:].lstrip()
            if not rest:
                raise self._lacks_value(option)
            word = word_at(line, len(line) - len(rest), service=self.service)
            value = self._converted(option, word.text, namespace, quoted=word.quoted)
            self._set(options, option, value)
            at = word.end

    def _verb(self, line: str, at: int, namespace: Mapping[str, Any]) -> Verb | None:
        name = line[at:].split(None, 1)[0]
        verb = self.verbs.get(name)
        if verb is not None and (not self.free or self.fits(verb, line, at, namespace)):
            return verb
        if self.free:
            return None
        return self._no_verb(name)

    def _up_to_free(self, verb: Verb, line: str, at: int) -> tuple[list[Word], str]:
        """Return the words of a verb, its arguments and options, and the text behind them."""
        known = {name: one for one in (*self.options, *verb.options) for name in one.names}
        found: list[Word] = []
        left = 1 + len(verb.arguments)
        value = False
        for word in each_word(line, start=at, service=self.service):
            is_option = word.kind == "plain" and _OPTION.match(word.text) is not None
            if not value and not is_option and not left:
                return found, line[word.start :].strip()
            left -= not value and not is_option
            option = known.get(word.text) if is_option and not value else None
            value = option is not None and bool(option.value or option.choices)
            found.append(word)
        return found, ""

    def _no_verb(self, name: str) -> NoReturn:
        same = self.verbs.get(self.elsewhere.get(name, ""))
        hint = f"here it is %{self.noun} {same.usage}" if same is not None else None
        hint = hint or did_you_mean(name, self.verbs) or f"verbs: {', '.join(self.verbs)}"
        raise UsageError(f"%{self.noun} has no verb {name!r}", service=self.service, hint=hint)

    def fits(self, verb: Verb, line: str, at: int, namespace: Mapping[str, Any]) -> bool:
        """Return whether a line is the verb: free text may begin with the same word.

        `begin` is the verb, `begin transaction` is SQL.
        """
        if verb.free:
            return True
        found: list[Word] = []
        try:
            found.extend(each_word(line, start=at, service=self.service))
        except UsageError:
            # Malformed where the verb has an argument, it is an error of the verb's.
            if len(found) <= len(verb.arguments):
                raise
            return False
        if any(word.text == "--help" for word in found):
            return True
        found = [word for word in found if word.kind != "rest"]
        known = (*self.options, *verb.options)
        if not verb.takes(_count_arguments(found[1:], known)):
            return False
        # A misspelt option is an error of the verb's only if the rest fits the verb.
        return verb.takes(len(self._take_options(found[1:], known, {}, namespace, verb.name)))

    def _take_options(
        self,
        found: list[Word],
        known: tuple[Option, ...],
        options: dict[str, Any],
        namespace: Mapping[str, Any],
        verb: str,
    ) -> list[Word]:
        plain: list[Word] = []
        rest = iter(found)
        for word in rest:
            if word.kind != "plain" or not _OPTION.match(word.text):
                plain.append(word)
                continue
            name, equals, text = word.text.partition("=")
            option = self._option(name, known, verb)
            if self._is_flag(option, equals=bool(equals)):
                self._set(options, option, value=True)
                continue
            if not equals:
                given = next(rest, None)
                if given is None:
                    raise self._lacks_value(option)
                word, text = given, given.text  # noqa: PLW2901 - the value is a word of its own
            value = self._converted(option, text, namespace, quoted=word.quoted)
            self._set(options, option, value)
        return plain

    def _set(self, options: dict[str, Any], option: Option, value: Any) -> None:
        """Keep an option's value: repeated ones add up or are refused, and none is dropped."""
        if option.adds and option.key in options:
            value = self._added(option, options[option.key], value)
        elif option.key in options:
            raise UsageError(
                f"{option.names[-1]} is given twice",
                service=self.service,
                hint=f"leave one away: {option.usage}",
            )
        options[option.key] = value

    def _added(self, option: Option, first: Any, second: Any) -> Any:
        """Return the values of a repeated option as one list or one dictionary."""
        if isinstance(first, dict) and isinstance(second, dict):
            if twice := [key for key in second if key in first]:
                raise UsageError(
                    f"{option.names[-1]} has {twice[0]!r:.80} twice",
                    service=self.service,
                    hint=f"leave one away: {option.usage}",
                )
            return first | second
        if isinstance(first, list) and isinstance(second, list):
            return first + second
        raise UsageError(
            f"{option.names[-1]} cannot add {type(second).__name__} to {type(first).__name__}",
            service=self.service,
            hint=f"{option.usage}: {option.about}",
        )

    def _is_flag(self, option: Option, *, equals: bool) -> bool:
        flag = not option.value and not option.choices
        if flag and equals:
            raise UsageError(
                f"{option.names[-1]} takes no value", service=self.service, hint=option.about
            )
        return flag

    def _option(self, name: str, known: tuple[Option, ...], verb: str) -> Option:
        for option in known:
            if name in option.names:
                return option
        names = [n for option in known for n in option.names]
        hint = self.foreign.get(f"{verb} {name}") or self.foreign.get(name)
        raise UsageError(
            f"%{self.noun} has no option {name}",
            service=self.service,
            hint=hint or did_you_mean(name, names) or f"options: {', '.join(names)}",
        )

    def _lacks_value(self, option: Option) -> UsageError:
        return UsageError(
            f"{option.names[-1]} needs a value", service=self.service, hint=option.usage
        )

    def _converted(
        self, option: Option, text: str, namespace: Mapping[str, Any], *, quoted: bool
    ) -> Any:
        bound = BIND.fullmatch(text) is not None
        convert = option.whole if quoted and option.whole is not None else option.convert
        value: Any = _bound(text, namespace) if bound else text
        if option.choices and value not in option.choices:
            near = did_you_mean(str(value), option.choices)
            raise self._outside(option, option.value_form, value, near or option.usage)
        if option.json and bound:
            return value
        try:
            return json.loads(value) if option.json else convert(value)
        except OutsideError as error:
            raise self._outside(option, str(error), value) from error
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise self._outside(option, option.value_form, value) from error

    def _outside(self, option: Option, allowed: str, value: Any, hint: str = "") -> UsageError:
        return UsageError(
            f"{option.names[-1]} must be {allowed}, got {_written(value):.80}",
            service=self.service,
            hint=hint or f"{option.usage}: {option.about}",
        )

    def help(self, verb: str | None = None) -> str:
        """Return the help of the magic, or of one of its verbs.

        Raises
        ------
        UsageError
            There is no such verb.
        """
        if verb is None or verb == "help":
            return help_of(self)
        return help_of_verb(self, self.verbs.get(verb) or self._no_verb(verb))


def _written(value: Any) -> str:
    """Return a refused value as errors show it: a number without quotes.

    >>> _written("0"), _written("many"), _written(1.5)
    ('0', "'many'", '1.5')
    """
    with suppress(ValueError, TypeError, OverflowError):
        float(value)
        return str(value)
    return repr(value)


def _count_arguments(found: list[Word], known: tuple[Option, ...]) -> int:
    """Return how many words are neither options nor their values."""
    count = 0
    rest = iter(found)
    for word in rest:
        if word.kind != "plain" or not _OPTION.match(word.text):
            count += 1
            continue
        name, equals, _ = word.text.partition("=")
        option = next((one for one in known if name in one.names), None)
        if option is not None and not equals and (option.value or option.choices):
            next(rest, None)
    return count


def value_of(word: Word, namespace: Mapping[str, Any]) -> Any:
    """Return the value of a word: its text, or the value of its JSON or its ``:name``."""
    if word.kind == "json":
        return word.value
    return _bound(word.text, namespace) if word.kind == "bind" else word.text


def _bound(text: str, namespace: Mapping[str, Any]) -> Any:
    from agentnb.core.bind import lookup

    return lookup(text[1:], namespace)
