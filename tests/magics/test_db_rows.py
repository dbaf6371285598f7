"""A bare `%db` line shows the first rows; everything that uses its result has all of them."""

from __future__ import annotations

import pytest

from agentnb.core.errors import UsageError

MANY = 1_500
SQL = "select i from big order by i"


@pytest.fixture(autouse=True)
def big(run):
    run(
        "%db create table big as with recursive n(i) as "
        f"(select 0 union all select i + 1 from n limit {MANY}) select i from n"
    )


@pytest.mark.parametrize("source", [
    f"%db {SQL}",
    f"%db {SQL};",
    f"%%db\n{SQL}",
    f"%db --timeout 20 {SQL}",
    f"if 1:\n    x = 1\n%db {SQL}",
    f"import asyncio\nawait asyncio.sleep(0)\n%db {SQL}",
])  # fmt: skip
def test_a_bare_line_or_cell_stops_at_the_rows_of_the_settings(run, source):
    result = run(source)
    result = result[0] if isinstance(result, list) else result
    assert "limited to 1,000 rows; there are more" in repr(result)
    with pytest.raises(UsageError, match="cut to 1,000 rows for display"):
        result.df()


@pytest.mark.parametrize("source", [
    f"x = %db {SQL}",
    f"x: object = %db {SQL}",
    f"%db x << {SQL}",
    f"%%db x <<\n{SQL}",
    f"x = %db --as pandas {SQL}",
    f"x = %db --as polars {SQL}",
    f"%db x << --as arrow {SQL}".replace("x << --as arrow", "--as arrow x <<"),
    f"%db --all x << {SQL}",
    f"for i in range(2):\n    x = %db {SQL}",
    f"def f():\n    found = %db {SQL}\n    return found\nx = f()",
    f"x = get_ipython().run_line_magic('db', {SQL!r})",
    f"x = (lambda: get_ipython().run_line_magic('db', {SQL!r}))()",
    f"x = [get_ipython().run_line_magic('db', {SQL!r}) for i in range(2)][1]",
    f"if (x := get_ipython().run_line_magic('db', {SQL!r})): pass",
    f"x, y = get_ipython().run_line_magic('db', {SQL!r}), 1",
    f"x = {{}}\nx['a'] = get_ipython().run_line_magic('db', {SQL!r})\nx = x['a']",
    f"class X: pass\nX.a = get_ipython().run_line_magic('db', {SQL!r})\nx = X.a",
    f"x = get_ipython().run_cell_magic('db', '', {SQL!r})",
    f"%%time\nx = %db {SQL}",
    f"%time x = %db {SQL}",
    f"print(repr(x := get_ipython().run_line_magic('db', {SQL!r})))",
])  # fmt: skip
def test_whatever_uses_the_result_has_every_row(run, shell, source):
    run(source)
    assert len(shell.user_ns["x"]) == MANY


@pytest.mark.parametrize("source", [
    f"len(get_ipython().run_line_magic('db', {SQL!r}))",
    f"get_ipython().run_line_magic('db', {SQL!r}).rowcount",
    f"[len(get_ipython().run_line_magic('db', {SQL!r}))][0]",
    f"%time len(get_ipython().run_line_magic('db', {SQL!r}))",
])  # fmt: skip
def test_an_expression_around_the_line_has_every_row(run, source):
    assert run(source) == MANY


@pytest.mark.parametrize("shape", ["pandas", "polars", "arrow"])
def test_a_frame_that_is_only_displayed_has_every_row(run, shape):
    assert len(run(f"%db --as {shape} {SQL}")) == MANY
    assert len(run(f"%%db --as {shape}\n{SQL}")) == MANY


def test_under_time_a_line_is_an_expression_and_has_every_row(run):
    assert len(run(f"%time %db {SQL}")) == MANY
    assert len(run(f"%%time\n%db {SQL}")) == MANY


def test_a_limit_that_was_asked_for_is_kept_and_said(run, shown):
    result = run(f"%db -n 1200 {SQL}")
    assert (len(result), len(result.df())) == (1200, 1200)
    assert "limited to 1,200 rows as asked; there are more" in repr(result)
    assert len(run(f"%db --all {SQL}")) == MANY
    assert "limited to 10 rows as asked; there are more" in shown(f"%db --as pandas -n 10 {SQL}")
    assert "limited" not in shown(f"%db --as pandas -n {MANY} {SQL}")


def test_a_result_above_the_bytes_of_the_settings_is_an_error(run, shell, monkeypatch):
    monkeypatch.setenv("AGENTNB_DB_MAX_BYTES", "10kB")
    run("%agentnb reset")
    for source in (f"%db x << {SQL}", f"x = %db {SQL}", f"%db --all {SQL}", f"%db -n 1400 {SQL}"):
        with pytest.raises(UsageError, match="larger than 10 kB") as caught:
            run(source)
        assert "-n" in caught.value.hint
        assert "stream" in caught.value.hint
    assert "x" not in shell.user_ns


def test_the_rows_that_are_shown_follow_the_setting(run, monkeypatch):
    monkeypatch.setenv("AGENTNB_DB_ROWS", "7")
    run("%agentnb reset")
    assert "limited to 7 rows" in repr(run(f"%db {SQL}"))


def test_rows_of_an_insert_are_all_kept_since_they_cannot_be_had_again(run):
    assert len(run(f"%db insert into big {SQL} returning i")) == MANY


def test_the_last_result_refuses_what_it_cannot_do(run, shell):
    run(f"%db {SQL}")
    with pytest.raises(UsageError, match="x << select i from big"):
        run("sum(row.i for row in _)")
    assert shell.user_ns["hub"].db.query("select count(*) from big").scalar() == MANY
