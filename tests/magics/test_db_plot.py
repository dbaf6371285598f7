"""`%db --plot`: all rows of a query, drawn."""

from __future__ import annotations

import pandas as pd
import pytest

from agentnb.core.errors import UsageError
from agentnb.core.plot import Plot


@pytest.fixture
def sales(run):
    run("%db create table sale (day text, eur real, city text)")
    run("""for n in range(1500):
    get_ipython().user_ns["hub"].db.execute(
        "insert into sale values (date('2026-01-01', :n || ' days'), :n, :c)",
        {"n": n, "c": f"c{n % 3}"})""")


def test_a_plot_is_of_all_rows_although_the_table_shows_some(run, sales):  # noqa: ARG001
    made = run("%db --plot day,eur,city select * from sale")
    assert isinstance(made, Plot)
    assert made.caption == "mean of eur by day, of 1,500 rows"
    assert run("%%db --plot eur --kind hist\nselect *\nfrom sale").caption.endswith("1,500 rows")
    run("least = 1400")
    assert run("%db --plot city,eur select * from sale where eur >= :least").caption == (
        "sum of eur by city, of 100 rows"
    )


def test_a_frame_is_plotted_through_duck(run, shell):
    shell.user_ns["df"] = pd.DataFrame({"k": ["a", "b"], "v": [1, 2]})
    assert run("%db -c duck --plot k,v from df").caption == "sum of v by k, of 2 rows"


@pytest.mark.parametrize("line", [
    "%db --plot a,b,c,d select 1", "%db --plot , select 1", "%db --kind bar select 1",
    "%db --plot a --as pandas select 1 as a", "%db --plot a --explain select 1 as a",
    "%db --plot a --all select 1 as a", "%db --plot a delete from sale",
    "%db --plot b select 1 as a",
])  # fmt: skip
def test_what_a_plot_would_ignore_is_refused(run, line):
    with pytest.raises(UsageError) as caught:
        run(line)
    assert caught.value.hint
