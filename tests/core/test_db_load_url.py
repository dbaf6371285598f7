"""Files of URLs are loaded within the limits of the hub's API clients, whole or not at all."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from agentnb.core.db import Database
from agentnb.core.db.fetching import progress_to
from agentnb.core.errors import (
    AgentnbError,
    DeadlineExceeded,
    InvalidResponse,
    NotFoundError,
    UsageError,
)
from agentnb.core.hub import Hub
from agentnb.core.tape.hook import insert
from agentnb.core.tape.recorder import Limits, Recorder

from .api_server import begins, chunk, says

CSV = b"id,name\n1,plan\n2,\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("urls")
    with Hub(
        start=folder, home=folder / "home", database_url="sqlite://", db_max_bytes=100_000
    ) as made:
        yield made


@pytest.fixture
def db(hub):
    hub.db.execute("drop table if exists t")
    return hub.db


def sends(body, kind="text/csv", **headers):
    return says(200, raw=body, kind=kind, **headers)


def moved(to):
    return says(302, raw=b"", kind="text/plain", Location=to)


def endless(handler):
    begins(handler)
    try:
        while True:
            chunk(handler, b"id\n" + b"1\n" * 5000)
    except OSError:
        handler.close_connection = True


def cut_off(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "text/csv")
    handler.send_header("Content-Length", str(len(CSV) + 50))
    handler.end_headers()
    handler.wfile.write(CSV)
    handler.wfile.flush()
    handler.reset()


@pytest.mark.parametrize(
    ("path", "act"),
    [
        ("/t.csv", sends(CSV, "text/plain")),
        ("/T%20x.CSV", sends(CSV, "application/octet-stream")),
        ("/export", sends(CSV, "text/csv; charset=utf-8")),
        ("/t.tsv", sends(CSV.replace(b",", b"\t"))),
        ("/t.csv.gz", sends(gzip.compress(CSV), "application/gzip")),
        ("/packed.csv", sends(gzip.compress(CSV), "application/gzip")),
        ("/encoded.csv", sends(gzip.compress(CSV), Content_Encoding="gzip")),
        ("/j", sends(b'[{"id": 1, "name": "plan"}, {"id": 2, "name": null}]', "application/json")),
    ],
)
def test_the_format_is_that_of_the_name_or_of_the_content_type(db, web, path, act):
    web.on(path, act)
    assert db.load(f"{web.url}{path}", "t").rowcount == 2
    assert db.query("select id, name from t order by id").rows == [(1, "plan"), (2, None)]


def test_a_parquet_file_is_loaded_and_a_redirect_is_followed(db, web, tmp_path):
    pytest.importorskip("pyarrow")
    db.query("select 7 as id").to_parquet(tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    web.on("/download", moved("/files/t.parquet"))
    web.on("/files/t.parquet", sends(data, "application/octet-stream"))
    web.on("/plain", sends(data, "application/vnd.apache.parquet"))
    assert db.load(f"{web.url}/plain", "t").rowcount == 1
    with pytest.raises(UsageError, match="exists"):
        db.load(f"{web.url}/plain", "t")
    assert db.load(f"{web.url}/plain", "t", if_exists="append").rowcount == 1
    assert db.query("select count(*) from t").scalar() == 2
    web.on("/here.parquet", moved("/files/t.parquet"))
    assert db.load(f"{web.url}/here.parquet", "t", if_exists="replace").rowcount == 1


BAD = {
    "missing": (says(404, {"message": "no"}), NotFoundError, "404"),
    "html": (sends(b"<!DOCTYPE html><p>Log in", "text/html"), InvalidResponse, "page of HTML"),
    "html named csv": (sends(b"\n <HTML><p>Log in"), InvalidResponse, "page of HTML"),
    "cut off": (cut_off, AgentnbError, "GET .*bad.csv"),
    "endless": (endless, InvalidResponse, "larger than that"),
    "large": (sends(b"id\n" + b"1\n" * 60_000), InvalidResponse, "larger than that"),
    "bomb": (sends(gzip.compress(b"id\n" + b"1\n" * 10**6)), InvalidResponse, "unpacked"),
    "encoded bomb": (
        sends(gzip.compress(b"id\n" + b"1\n" * 10**6), Content_Encoding="gzip"),
        InvalidResponse,
        "larger than that",
    ),
    "damaged": (sends(gzip.compress(CSV)[:-6]), InvalidResponse, "damaged"),
    "file": (moved("file:///etc/passwd"), AgentnbError, "GET .*bad.csv"),
    "login": (moved("http://ada:pw@127.0.0.1/t.csv"), AgentnbError, "GET .*bad.csv"),
    "ragged": (sends(CSV + b"3,4,5\n"), UsageError, "^bad.csv, line 4: 3 values"),
    "binary": (sends(b"\xff\xfe\x00"), UsageError, "^bad.csv cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_reply_is_an_error_and_leaves_no_table(db, web, name):
    act, kind, message = BAD[name]
    web.on("/bad.csv", act)
    with pytest.raises(kind, match=message) as caught:
        db.load(f"{web.url}/bad.csv?token=s3cret-value", "t")
    told = f"{caught.value}{caught.value.hint}"
    assert "s3cret" not in told
    assert "/tmp" not in told
    assert caught.value.hint
    assert [row[0] for row in db.tables().rows] == []


def test_data_of_an_unknown_format_are_refused(db, web):
    web.on("/t.xlsx", sends(b"PK", "application/zip"))
    with pytest.raises(
        InvalidResponse, match=r"sent application/zip, which is no format"
    ) as caught:
        db.load(f"{web.url}/t.xlsx", "t")
    assert ".parquet" in caught.value.hint


def test_a_download_ends_with_the_time_of_the_load(db, web):
    web.on("/t.csv", lambda handler: handler.server.over.wait(20))
    with pytest.raises(DeadlineExceeded, match=r"took longer than 0\.[123]\d{0,2} s"):
        db.load(f"{web.url}/t.csv", "t", timeout=0.3)


def test_progress_is_told_and_an_awaited_load_is_the_same(db, web):
    web.on("/t.csv", sends(CSV))
    seen = []
    with progress_to(lambda *found: seen.append(found)):
        db.load(f"{web.url}/t.csv", "t")
    assert seen[-1] == (len(CSV), len(CSV))
    asyncio.run(db.aload(f"{web.url}/t.csv", "t", if_exists="append"))
    assert db.query("select count(*) from t").scalar() == 4


def test_a_transaction_and_a_session_load_urls_and_a_database_alone_does_not(hub, db, web):
    web.on("/t.csv", sends(CSV))
    with db.transaction() as tx:
        assert tx.load(f"{web.url}/t.csv", "t").rowcount == 2
    with db.session() as session:
        assert session.load(f"{web.url}/t.csv", "t", if_exists="append").rowcount == 2
    with Database("sqlite://") as alone, pytest.raises(UsageError, match=r"got http://\.\.\."):
        alone.load(f"{web.url}/t.csv?token=s3cret", "t")
    with pytest.raises(UsageError, match=r"got file://\.\.\."):
        hub.db.load("file:///etc/passwd.csv", "t")


def test_a_tape_keeps_no_secret_of_a_url(db, web):
    web.on("/t.csv", sends(CSV))
    recorder = Recorder({}, Limits(10_000, 100_000, 100))
    with insert(recorder):
        db.load(f"{web.url}/t.csv?appid=s3cret-value&page=1", "t")
    steps = recorder.document()["steps"]
    assert [step["operation"] for step in steps] == ["load"]
    assert steps[0]["arguments"]["source"].endswith("/t.csv?appid=••••••&page=1")
