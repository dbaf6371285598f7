"""The inputs of a cached cell: the names that it reads, found by themselves for --on auto."""

from __future__ import annotations

import pytest

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.magics.cache.reads import inputs_of, names_read


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("y = x + 1", "x"),
        ("x = 1\ny = x", ""),
        ("x = x + 1", "x"),
        ("x += 1", "x"),
        ("d[k] = v", "d k v"),
        ("o.a.b = 1", "o"),
        ("for i in s:\n    t = i\nprint(t)", "s print t"),
        ("if c:\n    n = 1\nelse:\n    n = 2\nn", "c"),
        ("if c:\n    n = 1\nn", "c n"),
        ("while w:\n    pass", "w"),
        ("with open_(p) as f:\n    f", "open_ p"),
        ("async with a as b:\n    await b.c(d)", "a d"),
        ("try:\n    u = v\nexcept E as e:\n    u = e\nu", "v E"),
        (
            "match m:\n    case [a, *r]:\n        a, r\n    case {'k': z, **q}:\n        z, q, g",
            "m g",
        ),
        ("[a * k for a in df if a < limit]", "df k limit"),
        ("{a: b for a, b in p}", "p"),
        ("[x := 1, x]", ""),
        ("(y for y in y)", "y"),
        ("f = lambda a, b=d: a + b + w", "d w"),
        ("def f(a):\n    return a + g\nb = 1", "g"),
        ("def f():\n    return late()\ndef late():\n    return 1\nf()", ""),
        ("def f():\n    def inner():\n        return scale\n    return inner", "scale"),
        (
            "class A(Base, metaclass=M):\n    n = size\n    def m(self):\n        return off",
            "Base M size off",
        ),
        ("@decorate\ndef f(): ...", "decorate"),
        ("import a.b, c as d\nfrom e import f\na, d, f", ""),
        ("del x\nx", "x"),
        ("n: int = k\nn", "int k"),
        ("f'{name!r:>{width}}'", "name width"),
        ("global_ = 1\ndef f():\n    global total\n    total = total + 1", "total"),
        ("# comment x\n'x'", ""),
    ],
)
def test_a_name_is_an_input_where_it_is_read_before_it_is_assigned(source, read):
    assert names_read(source) - {"int"} == set(read.split()) - {"int"}


MAGIC = "get_ipython().run_line_magic('db', {text!r})"


def test_the_texts_of_magics_and_what_is_filled_into_commands_are_read():
    line = MAGIC.format(text="select a from orders where eur > :least")
    assert {"orders", "least"} <= names_read(f"x = {line}")
    assert "orders" not in names_read(f"orders = 1\n{line}")
    assert {"orders", "least"} <= names_read(f"def f():\n    return {line}")
    block = "get_ipython().run_cell_magic('db', '', 'from orders')"
    assert {"orders"} <= names_read(block)
    command = "get_ipython().system('ls $folder {name}.csv other')"
    assert names_read(command) == {"get_ipython", "folder", "name"}
    names = {"orders": 1, "least": 2}
    exec(f"def f():\n    return {line}", names)
    assert inputs_of("f()", names, ()) == {"f", "orders", "least"}


def test_a_function_of_the_notebook_brings_what_it_reads():
    names = {"factor": 2, "other": 3}
    exec("def twice(a):\n    return [a * factor for _ in helper()]", names)
    exec("def helper():\n    return other", names)
    assert inputs_of("twice(1)", names, ()) == {"twice", "helper", "factor", "other"}
    assert inputs_of("twice(1)", names, ("helper",)) == {"twice", "factor"}


@pytest.fixture
def counted(run, shell):
    runs = []
    shell.user_ns["count_run"] = lambda: runs.append(1)

    def run_cell(body, options="--on auto,-count_run"):
        run(f"%%cache report {options}\ncount_run()\n{body}")
        return len(runs)

    return run_cell


@pytest.mark.parametrize(
    ("before", "body", "change"),
    [
        ("k = 1", "k + 1", "k = 2"),
        ("d = {'a': [1]}", "len(d)", "d['a'].append(2)"),
        ("import numpy as np\na = np.zeros(3)", "float(a.sum())", "a[0] = 1"),
        ("def f(): return 1", "f()", "def f(): return 2"),
        ("k = 1\ndef f(): return k", "f()", "k = 2"),
        ("class A:\n    n = 1", "A.n", "class A:\n    n = 2"),
        ("class A:\n    def m(self): return 1", "A().m()", "class A:\n    def m(self): return 2"),
        ("import json", "json.dumps(1)", "json.__version__ = '99'"),
    ],
    ids=["number", "part", "array", "function", "name of a function", "class", "method", "module"],
)
def test_what_a_cell_reads_is_an_input_by_itself(counted, shell, before, body, change, monkeypatch):
    import json

    monkeypatch.setattr(json, "__version__", "1")
    shell.run_cell(before)
    assert [counted(body), counted(f"{body}  # read")] == [1, 1]
    shell.run_cell(change)
    assert [counted(body), counted(body)] == [2, 2]


def test_what_a_cell_makes_itself_is_none(counted, shell):
    body = "rows = [1, 2]\ntotal = sum(rows)\ndef shown(): return total\nshown()"
    assert [counted(body), counted(body)] == [1, 1]
    shell.user_ns["total"] = 9
    assert counted(body) == 1
    assert shell.user_ns["total"] == 3


def test_the_hub_and_the_names_of_the_shell_are_none(counted):
    body = "hub.cache.get('x'), get_ipython(), len(Out)"
    assert [counted(body + "\n1"), counted(body + "\n1")] == [1, 1]


def test_an_input_that_cannot_be_compared_is_named_and_can_be_left_out(counted, shell):
    shell.user_ns["model"] = object()
    with pytest.raises(UsageError, match="the input model cannot be stored") as caught:
        counted("str(model)[:2]")
    assert caught.value.hint == "--on auto,-model leaves it out"
    assert [counted("str(model)[:2]", "--on auto,-model,-count_run") for _ in "ab"] == [1, 1]


def test_names_that_are_left_out_of_nothing_or_unknown_are_refused(run):
    with pytest.raises(UsageError, match="leaves out names, but of none") as caught:
        run("%%cache a --on -k\n1")
    assert "--on auto,-k" in caught.value.hint
    with pytest.raises(NotFoundError, match="no variable 'kk'"):
        run("%%cache a --on auto,-kk\n1")


def test_a_comment_is_no_change_of_a_cell(counted):
    assert [counted("1 + 1"), counted("# more\n1 + 1   # and more")] == [1, 1]
    assert counted("1 + 2") == 2


def test_the_line_above_names_what_a_cell_reads_and_does_not_name(shown, shell):
    shell.run_cell("k, f = 2, len\nimport math")
    source = "%%cache noted{}\nmath.floor(k) + f('a')"
    shown(source.format(""))
    assert "reads k (not in --on)" in shown(source.format(""))
    shown(source.format(" --on k"))
    assert "not in --on" not in shown(source.format(" --on k"))
