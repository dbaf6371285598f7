"""The state of each service, and the calls to it."""

from __future__ import annotations

import asyncio

import pytest

import agentnb
from agentnb.core.errors import AgentnbError
from agentnb.core.overview.status import status_table
from agentnb.core.table import Table
from agentnb.core.trace.metrics import Numbers

HEALTH = ("service", "kind", "state", "ms")


def test_the_status_has_a_row_for_each_service_with_the_calls_to_it(hub):
    hub.db.query("select 1")
    with pytest.raises(AgentnbError):
        hub.db.query("select * from nowhere")
    row = hub.status(timeout=30)[0]
    assert (row.service, row.kind, row.state) == ("db default", "sqlite", "ok")
    assert (row.calls, row.errors) == (3, 1)  # one of them connects
    assert 0 < row.p50 <= row.p95
    assert row[-1] == "TableNotFound: no such table: nowhere"


def test_the_pings_of_a_status_are_not_among_its_calls(hub):
    hub.db.query("select 1")
    before = hub.status(timeout=30)[0].calls
    assert hub.status(timeout=30)[0].calls == before + 1  # that of the first status


def test_services_with_several_rows_or_none_have_their_calls_in_a_row_of_their_own():
    health = Table(
        HEALTH, [("db default", "sqlite", "ok", 0.1), ("db far", "postgresql", "ok", 3.0)]
    )
    numbers = {
        "db": Numbers(5, 1, 0.001, 0.002, "Failed: no"),
        "cache": Numbers(2, 0, 0.001, 0.002, None),
    }
    table = status_table(health, numbers, dropped=1_500)
    assert [(row.service, row.state, row.calls) for row in table] == [
        ("db default", "ok", None),
        ("db far", "ok", None),
        ("db", "", 5),
        ("cache", "", 2),
    ]
    assert "1,500 spans were not written" in repr(table)
    assert "NULL" not in repr(table) + table._repr_html_()


def test_a_hostile_error_is_text_and_its_secret_is_masked(hub):
    hub.db.query("select 1")
    with pytest.raises(AgentnbError):
        hub.db.query('select * from "<script>alert(1)</script>"')
    with pytest.raises(AgentnbError):
        hub.api("http://127.0.0.1:1").get("/x?token=c4naryC4NARY")
    for table in (hub.status(timeout=30), hub.metrics()):
        shown = repr(table) + table._repr_html_()
        assert "<script>" not in table._repr_html_()
        assert "alert(1)" in shown
        assert "c4nary" not in shown.lower()


def test_a_status_opens_nothing(tmp_path):
    with agentnb.connect(home=tmp_path / "home") as hub:
        assert set(hub.status().column("state")) == {"not opened"}
        assert repr(hub) == "Hub(nothing opened yet)"
        assert not hub.settings.home.exists()


def test_a_status_can_be_awaited(hub):
    async def main():
        return (await hub.astatus()).columns

    assert asyncio.run(main()) == hub.status().columns
