"""Tagged values come back equal and of their type; hostile bytes run nothing."""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import fractions
import ipaddress
import pathlib
import subprocess
import sys
import uuid
import zoneinfo
from decimal import Decimal

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.codec.classes import find_class
from agentnb.core.codec.errors import ClassMissingError, UnreadableError, UnstorableError
from agentnb.core.codec.tagged import dump, load
from agentnb.core.db.result import Preview, Result, Script
from agentnb.core.errors import UsageError
from agentnb.core.table import Table
from tests.core.shapes import (
    Checked,
    Colour,
    Frozen,
    Kind,
    Level,
    Locked,
    Loose,
    Mode,
    Model,
    Open,
    Pair,
    Plain,
    Point,
    Root,
    Same,
    Slotted,
    Struct,
    Task,
    Words,
)
from tests.groups import stable_id

UTC_TIMES = [dt.datetime(2026, 1, 1 + n % 28, tzinfo=dt.UTC) for n in range(50)]
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
VALUES = [
    *(None, True, 0, 1.0, -0.0, float("nan"), float("-inf"), "ü", b"\x00", 2**63, 2**64, -(2**63)),
    *(-(2**63) - 1, 2**300, -(2**300), [], [1, 2**70], [2**70], [True, 1, 1.0], {}, {"": None}),
    *((), (1,), [(1, [2])], {"a": (1,)}, {1: "a", "1": 2}, {(1, 2): 3}, {None: 1}, {True: 0}),
    *(set(), {1, "a", None}, frozenset({(1, 2)}), {frozenset({1})}, 1j, complex(-0.0, 2)),
    *(bytearray(b"x"), [b"x"], range(3), range(0, 2**70, 7)),
    *(Decimal("1.50"), Decimal("-0E+5"), Decimal("NaN"), Decimal("sNaN7"), Decimal("-Infinity")),
    *(fractions.Fraction(-1, 3), uuid.UUID(int=7)),
    *(dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.timedelta(-1, 5, 7), dt.timedelta.max),
    *(dt.time(1, 2, 3, 4), dt.time(1, tzinfo=dt.UTC), dt.datetime(2026, 1, 1), dt.UTC, BERLIN),
    dt.datetime(2026, 1, 1, 1, 2, 3, 4, tzinfo=dt.timezone(dt.timedelta(hours=5), "X")),
    dt.datetime(2026, 1, 1, tzinfo=dt.timezone(-dt.timedelta(hours=5, seconds=1))),
    dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
    *(pathlib.Path("/a/b"), pathlib.PurePosixPath(), pathlib.PureWindowsPath("c:/x")),
    *(ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8")),
    ipaddress.ip_interface("10.0.0.1/8"),
    *(collections.OrderedDict(b=1, a=2), collections.Counter("abca"), collections.deque([1], 3)),
    *(collections.defaultdict(list, a=[1]), collections.defaultdict(None, {1: 2})),
    *([Decimal(n) / 4 for n in range(50)], UTC_TIMES, [None, *UTC_TIMES, None, None]),
    *([*UTC_TIMES, dt.datetime(2026, 1, 1)], [1j] * 31, [1j] * 32, [None] * 40, [*UTC_TIMES, 1]),
    [dt.timezone(dt.timedelta(hours=n % 3), *["X"] * (n % 2)) for n in range(40)],
    [[Decimal(n)] * 40 for n in range(3)],
    *(Colour.RED, [Level.LOW], {Colour.BLUE: Kind.ONE}, Mode.READ, Mode.READ | Mode.WRITE, Mode(0)),
    *(
        Point(1, (2,)),
        Pair({1}),
        Task("x", (1,)),
        [Task("x", Frozen(1))],
        Frozen(1, {2}),
        Checked(2),
    ),
    *(Slotted(1, (2,)), Open(1, {3}), Struct(1, (2,)), Locked(n=1, data=Struct(2))),
    *(
        Model(n=1, data=(2,)),
        Model(n=1, other={3}),
        Root([1, 2]),
        Task.Part(1),
        Task("x", Decimal(1)),
    ),
]


def texts(value):
    # Equal sets may list their elements in another order, as they were added.
    shown = sorted(map(repr, value)) if isinstance(value, set) else repr(value)
    return shown, type(value)


@pytest.mark.parametrize(
    "value", VALUES, ids=lambda value: f"{type(value).__name__}-{stable_id(value):.40}"
)
def test_a_value_comes_back_equal_and_of_its_type(value):
    back = load(dump(value))
    assert texts(back) == texts(value)
    assert "nan" in repr(value).lower() or back == value


def test_a_fold_and_a_zone_survive():
    when = dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN)
    back = load(dump(when))
    assert (back.fold, back.tzinfo, back.utcoffset()) == (1, BERLIN, dt.timedelta(hours=1))


@pytest.mark.parametrize("zone", ["+00:00", "-05:30"])
def test_times_that_pydantic_or_dateutil_has_read_keep_their_zone(zone):
    dateutil = pytest.importorskip("dateutil.tz")
    read = pydantic.TypeAdapter(dt.datetime).validate_python(f"2026-01-01T00:00:00{zone}")
    offset = dateutil.tzoffset("X", -5.5 * 3600) if zone == "-05:30" else dateutil.tzutc()
    for value in (read, read.replace(tzinfo=offset)):
        back = load(dump(value))
        assert (back, repr(back)) == (value, repr(value))
        assert type(back.tzinfo) is type(value.tzinfo)
    with pytest.raises(UnstorableError, match="tzlocal has no exact form"):
        dump(read.replace(tzinfo=dateutil.tzlocal()))


def test_what_a_model_knows_of_itself_survives():
    model = Model(n=1, extra=2)
    model._private = 7
    back = load(dump(model))
    assert (back._private, back.model_fields_set, back.model_extra) == (
        7,
        {"n", "extra"},
        {"extra": 2},
    )


def test_no_method_of_a_dataclass_runs_when_it_is_read(monkeypatch):
    data = dump(Checked(2))
    monkeypatch.setattr(Checked, "__post_init__", lambda _: pytest.fail("it ran"))
    assert load(data).twice == 4


def test_a_default_that_was_changed_survives():
    struct = Locked(n=1)
    assert load(dump(struct)).data is None
    task = Task("x")
    task.data = 5
    assert load(dump(task)).data == 5


def test_a_default_factory_makes_values_again():
    back = load(dump(collections.defaultdict(list)))
    back["new"].append(1)
    assert back == {"new": [1]}


def test_a_table_comes_back_as_its_own_class():
    rows = [(1, Decimal("1.0")), (None, Decimal("2.00"))]
    result = Result(["a", "a"], rows, statement="select", rowcount=7, truncated=True)
    back = load(dump(result))
    assert type(back) is Result
    assert (back.columns, repr(back.rows), back.note) == (result.columns, repr(rows), result.note)
    assert (back.statement, back.rowcount, back.truncated) == ("select", 7, True)
    assert back.scalar() == 1
    done = load(dump(Result([], [], rowcount=3, returns_rows=False)))
    assert repr(done) == "3 rows affected"
    table = load(dump(Table((), [(), ()], empty="none")))
    assert (len(table), table.empty) == (2, "none")


def test_the_rows_of_a_table_and_the_results_of_a_script_come_back():
    table = Table(("id", "count(*)"), [(1, Decimal(2))])
    row = load(dump(table[0]))
    assert (row, row.id, repr(row)) == (table[0], 1, repr(table[0]))
    assert load(dump(list(table))) == list(table)
    script = Script([Result(["n"], [(1,)], statement="select 1 as n"), Result([], [], rowcount=2)])
    back = load(dump(script))
    assert type(back) is Script
    assert repr(back) == repr(script)
    cut = Preview(["n"], [(1,)], statement="select n from t")
    assert repr(load(dump(cut))) == repr(cut)
    with pytest.raises(UsageError, match="was cut to 1 rows"):
        len(load(dump(cut)))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (object(), "type object"),
        ({"a": [1, object()]}, r"type object .*at \['a'\]\[1\]"),
        (lambda: 1, "type function"),
        (Task, "type type"),
        (Words("x"), "Words"),
        (Plain(), "Plain"),
        (Same(1), "equals only itself"),
        (Loose(1), "equals only itself"),
        ("\ud800", "not Unicode"),
        ([1, "\ud800"], "not Unicode"),
        (collections.defaultdict(lambda: 1), "by a function"),
        (ValueError("x"), "ValueError"),
        (Task("x", open), r"at \['data'\]"),
        (memoryview(b"x"), "memoryview"),
        ({10**5000: object()}, r"type object .*at \[int\]"),
        (fractions.Fraction(1, 2**100_001), "fraction of more digits"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_without_an_exact_form_is_refused(value, why):
    with pytest.raises(UnstorableError, match=f"(?s){why}"):
        dump(value)


def test_a_class_that_another_process_cannot_find_is_refused():
    from dataclasses import make_dataclass

    with pytest.raises(UnstorableError, match="within a function"):

        class Local(msgspec.Struct):
            n: int

        dump(Local(1))
    with pytest.raises(UnstorableError, match="not found as"):
        dump(make_dataclass("Nowhere", ["n"])(1))


def test_an_instance_of_an_earlier_definition_is_refused(monkeypatch):
    old = Task("x")
    monkeypatch.setattr(sys.modules[Task.__module__], "Task", type("Task", (), {}))
    with pytest.raises(UnstorableError, match="earlier definition of Task"):
        dump(old)


def test_a_value_that_contains_itself_is_refused():
    loop = []
    loop.append(loop)
    deep = ()
    for _ in range(100_000):
        deep = (deep,)
    for value in (loop, deep):
        with pytest.raises(UnstorableError, match="contains itself, or is nested too deeply"):
            dump(value)


def test_the_bytes_of_a_set_do_not_depend_on_the_process():
    source = "from agentnb.core.codec.tagged import dump; print(dump({'a','b','c','d'}).hex())"
    seen = {
        subprocess.run(
            [sys.executable, "-c", source],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1


def test_a_class_that_is_gone_or_has_changed_is_missing(monkeypatch):
    module = sys.modules[Task.__module__]
    data = dump([Task("x"), Struct(1), Model(n=1), Point(1, 2), Frozen(1)])
    for value, fields in [
        (Task("x"), {"__dataclass_fields__": Frozen.__dataclass_fields__}),
        (Point(1, 2), {"_fields": ("x", "z")}),
    ]:
        stored = dump(value)
        for name, one in fields.items():
            with monkeypatch.context() as patch:
                patch.setattr(type(value), name, one)
                with pytest.raises(ClassMissingError, match="has other fields now"):
                    load(stored)
    monkeypatch.delattr(module, "Point")
    with pytest.raises(ClassMissingError, match="Point is not defined in this process"):
        load(data)
    member = dump(Colour.RED)
    with pytest.raises(ClassMissingError, match="has no member"):
        load(member.replace(b"\xa3RED", b"\xa3RUD"))


def tagged(tag, *parts):
    return msgspec.msgpack.encode([msgspec.msgpack.Ext(1, tag), *parts])


HOSTILE = [
    *(b"", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91" * 200_000 + b"\x01", b"\x81\x01\x02"),
    *(tagged(b"nothing"), tagged(b"tuple\xff"), tagged(b"int", 5), tagged(b"decimal", "x")),
    *(tagged(b"bytearray", 10**12), tagged(b"uuid", b"x"), tagged(b"set", [1]), tagged(b"date", 0)),
    *(tagged(b"dict", 1), tagged(b"dict", 1, 2, 1, 3), tagged(b"zone", "../../etc/passwd")),
    *(tagged(b"path", "os", "x"), tagged(b"path", "Path", "x"), tagged(b"address", "sys", "x")),
    *(tagged(b"deque", "x"), tagged(b"defaultdict", "print"), tagged(b"complex", "1", "x")),
    tagged(b"timedelta", 10**12),
    tagged(b"fraction", *[[msgspec.msgpack.Ext(1, b"int"), b"\x01" * 10_000_000]] * 2),
    msgspec.msgpack.encode([msgspec.msgpack.Ext(5, b"tuple"), 1]),
    msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(1, b"tuple")}),
    msgspec.msgpack.encode(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
    tagged(b"ndarray", "<f8", 0, [10**12], b"12345678"),
    tagged(b"ndarray", "|O", 0, [1], b"12345678"),
    tagged(b"ndarray", "|V0", 0, [10**12], b""),
    *(tagged(b"column"), tagged(b"column", "decimal", []), tagged(b"column", "tuple", [], [1])),
    *(tagged(b"column", "complex", [], [1, 2], [1]), tagged(b"column", "decimal", [9], ["1"])),
    tagged(b"frame", b"P", b"garbage"),
    tagged(b"frame", b"?", b"garbage"),
    tagged(b"objects", [10**12], []),
    tagged(b"table", "agentnb.core.table:Table", {}, 1, [[1, 2]]),
    tagged(b"model", "tests.core.shapes:Model", {}),
    tagged(b"namedtuple", "tests.core.shapes:Point"),
    *(
        tagged(tag, path, {"n": 1})
        for tag in (
            b"fields",
            b"struct",
            b"model",
            b"enum",
            b"namedtuple",
            b"table",
            b"list",
            b"row",
        )
        for path in (
            *("os:system", "builtins:eval", "subprocess:Popen", "antigravity:fly", "this:c"),
            *(
                "idlelib.__main__:idlelib",
                "..os:system",
                "",
                ":",
                "os",
                "os:path.join",
                "\x00:\x00",
            ),
            *("tests.core.shapes:Plain", "decimal:Decimal", "tests.core.test_codec_tagged:Colour"),
            *("agentnb.core.db.result:Result", "agentnb.core.errors:UsageError"),
            *("__main__:Task", "tests.core.shapes:Words", "a" * 100_000),
        )
    ),
]


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_bytes_of_a_stranger_are_an_error_and_run_nothing(data):
    before = set(sys.modules)
    with pytest.raises(UnreadableError):
        load(data)
    assert not {"antigravity", "this", "idlelib"} & (set(sys.modules) - before)


def test_a_module_is_imported_only_if_it_declares_the_class(tmp_path):
    (tmp_path / "canary.py").write_text("import pathlib\npathlib.Path('ran').touch()\n")
    (tmp_path / "called.py").write_text("import canary\nclass Plain: pass\nTask = print\n")
    (tmp_path / "things.py").write_text(
        "import dataclasses\n@dataclasses.dataclass\nclass Thing:\n    n: int\n"
    )
    (tmp_path / "broken.py").write_text("class Thing(NoSuchName): pass\n")
    paths = ["canary:Path", "called:Plain", "called:Task", "canary.more:Thing", "broken:Thing"]
    source = (
        "from agentnb.core.codec.tagged import load\n"
        "from agentnb.core.codec.errors import ClassMissingError\n"
        "import msgspec\n"
        "def of(path): return msgspec.msgpack.encode("
        "[msgspec.msgpack.Ext(1, b'fields'), path, {'n': 1}])\n"
        f"for path in {paths!r}:\n"
        "    try: load(of(path)); print('read', path)\n"
        "    except ClassMissingError: pass\n"
        "print(load(of('things:Thing')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("Thing(n=1)\n", "")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("tag", [b"set", b"frozenset", b"dict", b"Counter"])
def test_keys_that_were_made_up_to_have_one_hash_take_no_time(tag):
    alike = [
        [msgspec.msgpack.Ext(1, b"int"), ((2**61 - 1) * n).to_bytes(12, "little")]
        for n in range(200_000)
    ]
    parts = alike if tag.endswith(b"set") else [part for one in alike for part in (one, 1)]
    with pytest.raises(UnreadableError, match="the same hash"):
        load(tagged(tag, *parts))
    assert load(dump(set(range(100_000)))) == set(range(100_000))


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.complex_numbers()
    | st.decimals()
    | st.fractions()
    | st.uuids()
    | st.dates()
    | st.times(timezones=st.just(dt.UTC))
    | st.datetimes(timezones=st.none() | st.timezones(), allow_imaginary=True)
    | st.timedeltas()
    | st.sampled_from([*Colour, *Level, *Kind, *Mode, pathlib.Path("/a"), range(3)])
    | st.ip_addresses()
)
KEYS = st.none() | st.integers() | st.text() | st.binary() | st.dates() | st.tuples(st.integers())


def nested(values):
    return (
        st.lists(values)
        | st.lists(values).map(tuple)
        | st.dictionaries(st.text(), values)
        | st.dictionaries(KEYS, values)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
        | st.lists(values).map(collections.deque)
        | st.builds(Task, st.text(), values)
        | st.builds(Frozen, st.integers(), values)
        | st.builds(Slotted, st.integers(), values)
        | st.builds(Struct, st.integers(), values)
        | st.builds(lambda n, data: Locked(n=n, data=data), st.integers(), values)
        | st.builds(lambda n, data: Model(n=n, data=data), st.integers(), values)
        | st.builds(Pair, values, values)
        | st.lists(st.tuples(values, values)).map(lambda rows: Table(("a", "b"), rows))
    )


ANY = st.recursive(LEAVES, nested, max_leaves=20)


def written(value):
    """Return a text in which equal values of the same types are equal, sets included."""
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}({sorted(map(written, value))})"
    if isinstance(value, list | tuple | collections.deque):
        return f"{type(value).__name__}({[*map(written, value)]})"
    if isinstance(value, dict):
        return f"dict({[(written(key), written(one)) for key, one in value.items()]})"
    if isinstance(value, Table):
        return f"Table({value.columns}, {written(value.rows)})"
    fields = getattr(value, "__struct_fields__", None) or getattr(
        type(value), "__annotations__", None
    )
    if fields and not isinstance(value, tuple | Colour | Level):
        state = [(name, written(getattr(value, name, None))) for name in fields]
        return f"{type(value)}({state})"
    fold = f" fold={value.fold}" if isinstance(value, dt.datetime | dt.time) else ""
    return f"{type(value).__name__} {value!r}{fold}"


@given(ANY)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_nested_value_comes_back_equal(value):
    data = dump(value)
    back = load(data)
    assert written(back) == written(value)
    assert dump(back) == data


@given(st.binary() | st.builds(lambda value, cut: dump(value)[:-cut], ANY, st.integers(1, 9)))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_bytes_are_a_value_or_an_agentnb_error(data):
    with contextlib.suppress(UnreadableError):
        load(data)


def test_a_class_is_found_by_its_own_path_only():
    own = f"{Task.__module__}:Task"
    assert find_class(own) is Task
    assert find_class(f"{Task.__module__}:Task.Part") is Task.Part
    for path in (f"{__name__}:Task", f"{Task.__module__}:Any", "enum:Enum.name", "os:path", "re"):
        with pytest.raises(ClassMissingError):
            find_class(path)
