from __future__ import annotations

import ast
import pickle
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import agentnb
import agentnb.errors
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


def classes_below(kind):
    for one in kind.__subclasses__():
        yield one
        yield from classes_below(one)


def test_the_module_of_errors_has_every_error_of_the_package():
    core = Path(agentnb.__file__).parent
    for path in core.rglob("*.py"):  # those that define an error by name, at the least
        text = path.read_text()
        if "class " not in text:
            continue
        names = [node for node in ast.walk(ast.parse(text)) if type(node) is ast.ClassDef]
        bases = {ast.unparse(base) for node in names for base in node.bases}
        if bases & set(agentnb.errors.__all__):
            parts = path.relative_to(core.parent).with_suffix("").parts
            import_module(".".join(part for part in parts if part != "__init__"))
    found = {AgentnbError, *classes_below(AgentnbError)}
    ours = {one.__name__ for one in found if one.__module__.startswith("agentnb.")}
    assert sorted(ours) == agentnb.errors.__all__
    assert all(getattr(agentnb.errors, name).__doc__ for name in ours)
    assert dir(agentnb.errors) == agentnb.errors.__all__


def test_an_error_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'JobFaild'"):
        _ = agentnb.errors.JobFaild


def test_the_module_of_errors_imports_no_library():
    code = "import sys, agentnb.errors; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"redis", "sqlalchemy", "huey", "httpx", "IPython"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("DeadlineExceeded", TimeoutError),
        ("FileNotFound", FileNotFoundError),
        ("FileExists", FileExistsError),
        ("IsADirectory", IsADirectoryError),
        ("NotADirectory", NotADirectoryError),
        ("PermissionDenied", PermissionError),
    ],
)
def test_an_error_that_python_has_too_is_caught_as_such(name, builtin):
    kind = getattr(agentnb.errors, name)
    error = kind("it broke", service="files", hint="mend it")
    assert isinstance(error, builtin)
    assert (str(error), error.args) == ("it broke", ("it broke",))
    if kind is not agentnb.errors.DeadlineExceeded:
        error.filename = "a/b.txt"
        again = pickle.loads(pickle.dumps(error))
        assert type(error.errno) is int
        assert (str(again), again.errno, again.filename) == ("it broke", error.errno, "a/b.txt")


def test_a_service_that_is_unavailable_is_no_broken_connection():
    assert not issubclass(errors.UnavailableError, OSError)
    assert not issubclass(errors.RateLimited, OSError)


def test_the_guide_has_every_error():
    guide = Path(__file__).parents[2] / "notebooks" / "guide" / "errors.md"
    known = set(re.findall(r"`(\w+)`", guide.read_text(encoding="utf-8")))
    assert set(agentnb.errors.__all__) - known == {"Changed", "NoScript", "HandlerFailed"}


def test_the_errors_of_results_are_those_of_their_services_too():
    from agentnb.core import queue, workflow

    for service, name in ((queue, "JobFailed"), (queue, "JobCancelled"), (workflow, "TaskFailed")):
        assert name in service.__all__
        assert getattr(service, name) is getattr(agentnb.errors, name)
