"""A query of frames on a tape is answered for the same frames only."""

from __future__ import annotations

import pytest

from agentnb.core.db import Database
from agentnb.core.db.taped import digest_of_frame
from agentnb.core.errors import NotReplayable, ReplayDiverged
from agentnb.core.table import Table
from agentnb.core.tape.hook import insert
from agentnb.core.tape.recorder import Limits, Recorder
from agentnb.core.tape.replayer import Replayer

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")

SQL = "select sum(k) as total from df"


@pytest.fixture(scope="module")
def duck():
    with Database("duckdb://") as made:
        yield made


def recorded(work):
    recorder = Recorder({}, Limits(10_000, 100_000, 100))
    with insert(recorder):
        work()
    return recorder.document()["steps"]


@pytest.mark.parametrize("method", ["query", "execute", "script"])
def test_a_query_is_replayed_for_equal_frames_and_diverges_for_others(duck, method):
    run = getattr(duck, method)
    steps = recorded(lambda: run(SQL, frames={"df": pd.DataFrame({"k": [1, 2]}), "x": object()}))
    with insert(Replayer(steps)):
        found = run(SQL, frames={"df": pd.DataFrame({"k": [1, 2]})})
    assert (found[0] if method == "script" else found).scalar() == 3
    for other in ({"k": [1, 3]}, {"k": [1.0, 2.0]}, {"k": [1, 2], "z": [0, 0]}):
        with insert(Replayer(steps)), pytest.raises(ReplayDiverged, match="frames"):
            run(SQL, frames={"df": pd.DataFrame(other)})


def test_a_query_that_names_no_frame_is_recorded_as_ever(duck):
    steps = recorded(lambda: duck.query("select 'df'", frames={"df": pd.DataFrame({"k": [1]})}))
    assert "frames" not in steps[0]["arguments"]
    with insert(Replayer(steps)):
        assert duck.query("select 'df'").scalar() == "df"


def test_a_frame_without_a_digest_makes_a_call_that_cannot_be_replayed(duck):
    lazy = pl.DataFrame({"k": [1, 2]}).lazy()
    steps = recorded(lambda: duck.query(SQL, frames={"df": lazy}))
    with insert(Replayer(steps)), pytest.raises(NotReplayable, match="the frame df has no digest"):
        duck.query(SQL, frames={"df": lazy})


def test_a_load_is_replayed_for_an_equal_frame_only(duck):
    frame = pd.DataFrame({"k": [1, 2]})
    steps = recorded(lambda: duck.load(frame, "loaded"))
    with insert(Replayer(steps)):
        assert duck.load(pd.DataFrame({"k": [1, 2]}), "loaded").rowcount == 2
    with insert(Replayer(steps)), pytest.raises(ReplayDiverged):
        duck.load(pd.DataFrame({"k": [1, 3]}), "loaded")


def test_equal_rows_have_one_digest_however_they_are_laid_out():
    whole = pa.table({"k": [1, 2, 3], "t": ["a", None, "c"]})
    parts = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    found = digest_of_frame(whole)
    assert found is not None
    assert digest_of_frame(parts) == found
    assert digest_of_frame(Table(["k", "t"], [(1, "a"), (2, None), (3, "c")])) == found
    assert digest_of_frame(whole.slice(1)) != found
    assert digest_of_frame(parts.to_reader()) is None
    assert parts.to_reader().read_all().num_rows == 3
