from __future__ import annotations

import pickle

import pytest

import agentnb
from agentnb.core import errors
from agentnb.core.errors import AgentnbError, UsageError, did_you_mean
from agentnb.core.failure import Failure

LEAVES = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)
]


def test_the_tree_is_sorted_by_what_the_caller_should_do_next():
    assert issubclass(errors.QueryRejected, errors.RejectedError)
    assert issubclass(errors.DeadlineExceeded, errors.UnavailableError)
    assert issubclass(errors.CircuitOpen, errors.UnavailableError)
    assert all(issubclass(kind, AgentnbError) for kind in LEAVES)


@pytest.mark.parametrize("kind", LEAVES)
def test_an_error_says_what_where_and_what_to_do(kind):
    error = kind("it broke", service="db", hint="mend it")
    assert (str(error), error.message, error.service, error.hint) == (
        "it broke",
        "it broke",
        "db",
        "mend it",
    )
    assert error.__notes__ == ["hint: mend it"]
    assert not hasattr(kind("it broke", service="db"), "__notes__")


@pytest.mark.parametrize("kind", LEAVES)
def test_an_error_crosses_a_process_boundary(kind):
    again = pickle.loads(pickle.dumps(kind("it broke", service="db", hint="mend it")))
    assert type(again) is kind
    assert (again.message, again.service, again.hint) == ("it broke", "db", "mend it")


def test_an_error_is_rendered_in_a_line_for_each_line_of_its_text():
    error = UsageError("one\ntwo", service="db", hint="three\nfour")
    plain = [line.replace("\x1b[31m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")
             for line in error._render_traceback_()]  # fmt: skip
    assert plain == ["UsageError (db): one", "two", "hint: three", "      four"]
    assert len(UsageError("", service="db")._render_traceback_()) == 1


def test_no_error_shows_a_secret():
    error = UsageError(
        "redis://:hunter22@host failed", service="x", hint="password=hunter22 was wrong"
    )
    texts = [str(error), repr(error), *error.__notes__, *error._render_traceback_()]
    assert all("hunter22" not in text for text in texts)


def test_the_nearest_name_is_offered_whatever_its_case():
    assert did_you_mean("tabels", ["tables", "describe"]) == "did you mean tables?"
    assert did_you_mean("TASK", ["task"]) == "did you mean task?"
    assert did_you_mean("databse_url", ["DATABASE_URL"]) == "did you mean DATABASE_URL?"
    assert did_you_mean("xyz", ["tables"]) is None
    assert did_you_mean("", []) is None


def test_the_public_errors_are_those_of_the_tree():
    for name in agentnb.__all__:
        if hasattr(errors, name):
            assert getattr(agentnb, name) is getattr(errors, name)


class MuteError(Exception):
    """An error that says nothing."""

    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MuteError(), "MuteError: its text cannot be read (RuntimeError)"),
        (ValueError("\ud800 \x00"), "ValueError: ? \x00"),
    ],
)
def test_of_any_exception_something_can_be_kept(error, said):
    kept = Failure.of(error, 1)
    assert kept.error == said
    assert Failure.read(kept.write()) == kept
