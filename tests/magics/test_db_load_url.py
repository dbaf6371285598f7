"""`%db load URL [TABLE]`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from agentnb.core.errors import AgentnbError, FileNotFound, NotFoundError, UsageError
from tests.core.api_server import Server, says

CSV = b"id,name\n1,plan\n2,\n"


@pytest.fixture(scope="module")
def web():
    server = Server()
    yield server
    server.stop()


def test_a_url_is_loaded_into_a_table_of_its_name_or_another(run, web):
    web.on("/Sales%202026.csv", says(200, raw=CSV, kind="text/csv"))
    url = f"{web.url}/Sales%202026.csv"
    assert repr(run(f"%db load {url}")) == "2 rows affected: table sales_2026"
    assert run("%db select count(*) from sales_2026").scalar() == 2
    assert run(f"%db load {url} other").rowcount == 2
    with pytest.raises(UsageError, match="sales_2026 exists"):
        run(f"%db load {url}")
    run(f"%db load {url} --append --timeout 9")
    assert run("%db select count(*) from sales_2026").scalar() == 4


def test_a_secret_in_a_url_is_bound_and_never_shown(run, shell, web):
    web.on("/t.csv", says(403, {"message": "no"}))
    with pytest.raises(UsageError, match="a secret in a URL would be saved") as caught:
        run(f"%db load {web.url}/t.csv?token=s3cret-value t")
    assert "%db load :url TABLE" in caught.value.hint
    shell.user_ns["url"] = f"{web.url}/t.csv?token=s3cret-value"
    with pytest.raises(AgentnbError, match="403") as caught:
        run("%db load :url t")
    assert "s3cret" not in f"{caught.value}{caught.value.hint}"
    web.on("/t.csv", says(200, raw=CSV, kind="text/csv"))
    assert run("%db load :url t").rowcount == 2
    with pytest.raises(UsageError, match="t exists"):
        run("%db load :url")


def test_a_file_and_a_frame_have_a_table_of_their_name(run, shell):
    Path("7 days.csv").write_bytes(CSV)
    assert run("%db load '7 days.csv'") == "2 rows affected: table t_7_days"
    shell.user_ns["df"] = pd.DataFrame({"k": [1]})
    assert run("%db load df --replace") == "1 row affected: table df"
    with pytest.raises(FileNotFound):
        run("%db load no.csv")
    # Of DuckDB, whose extensions are out of reach.
    with pytest.raises(AgentnbError) as caught:
        run("%db -c duck load spatial")
    assert not isinstance(caught.value, NotFoundError)
