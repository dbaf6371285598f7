"""Downloads to a workspace, from a server that breaks off."""

from __future__ import annotations

import asyncio
import gzip
import re
import threading

import pytest

from agentnb.core.errors import (
    AgentnbError,
    InvalidResponse,
    NotFoundError,
    PathEscape,
    UnavailableError,
    UsageError,
)
from agentnb.core.files import FileSystemManager
from agentnb.core.resilience import RetryPolicy

from .api_server import says, streams

DATA = bytes(range(256)) * 1000


@pytest.fixture
def files(tmp_path):
    with FileSystemManager(tmp_path / "work", max_size=300_000) as made:
        yield made


@pytest.fixture
def api(make_api, files):
    return make_api(workspace=lambda: files)


def part_of(data, *, most, etag='"v1"', ranges=True):
    """Return what sends so much of some data, from where it is asked for, and then resets."""

    def act(handler):
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if asked and ranges and handler.headers.get("If-Range") == etag:
            start = int(asked[1])
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(data) - start))
        if etag:
            handler.send_header("ETag", etag)
        handler.end_headers()
        handler.wfile.write(data[start : start + most])
        handler.wfile.flush()
        if start + most < len(data):
            handler.close_connection = True

    return act


def ranges_of(web):
    return [headers.get("range") for _, _, headers, _ in web.asked]


def test_a_file_is_downloaded_with_its_progress(web, api, files):
    web.on("/x", part_of(DATA, most=len(DATA)))
    told = []
    found = api.download("/x", "in/data.bin", on_progress=lambda *words: told.append(words))
    assert files.read_file("in/data.bin", encoding=None) == DATA
    assert (found.path, found.size, found.resumed, found.restarted) == (
        *("in/data.bin", len(DATA), 0, 0),
    )
    assert told[-1] == (len(DATA), len(DATA))
    assert repr(found) == "in/data.bin: 256,000 bytes"
    assert asyncio.run(api.adownload("/x", "again.bin")).size == len(DATA)


def test_a_download_that_breaks_off_is_gone_on_with(web, api, files, caplog):
    web.on("/x", *[part_of(DATA, most=100_000)] * 2, part_of(DATA, most=len(DATA)))
    found = api.download("/x", "data.bin")
    assert files.read_file("data.bin", encoding=None) == DATA
    assert (found.resumed, found.restarted) == (2, 0)
    first, *others = ranges_of(web)
    assert first is None
    assert all(re.fullmatch(r"bytes=\d+-", one) for one in others)
    assert "API download: GET" in caplog.text
    assert "resumed 2 times" in repr(found)


@pytest.mark.parametrize("etag", ['W/"v1"', ""])
def test_a_download_begins_anew_where_nothing_says_that_it_is_the_same(web, api, files, etag):
    web.on("/x", part_of(DATA, most=100_000, etag=etag), part_of(DATA, most=300_000, etag=etag))
    found = api.download("/x", "data.bin")
    assert files.read_file("data.bin", encoding=None) == DATA
    assert (found.resumed, found.restarted) == (0, 1)
    assert ranges_of(web) == [None, None]


def test_a_download_of_what_has_changed_meanwhile_begins_anew(web, api, files):
    new = DATA[:500][::-1]  # shorter than what had come
    web.on("/x", part_of(DATA, most=100_000), part_of(new, most=300_000, etag='"v2"'))
    found = api.download("/x", "data.bin")
    assert files.read_file("data.bin", encoding=None) == new
    assert (found.resumed, found.restarted) == (0, 1)


def test_a_part_of_something_else_is_refused(web, api, files):
    def wrong(handler):
        handler.send_response(206)
        handler.send_header("Content-Range", "bytes 5-9/10")
        handler.send_header("Content-Length", "5")
        handler.send_header("ETag", '"v1"')
        handler.end_headers()
        handler.wfile.write(b"xxxxx")

    web.on("/x", part_of(DATA, most=100_000), wrong)
    with pytest.raises(InvalidResponse, match="a part that was not asked for"):
        api.download("/x", "data.bin")
    assert files.glob("**") == []


def test_a_download_that_keeps_breaking_off_leaves_nothing(web, api, files):
    files.write_file("data.bin", "before")
    web.on("/x", part_of(DATA, most=10, etag=""))
    with pytest.raises(UnavailableError, match="broke off"):
        api.download("/x", "data.bin")
    assert len(web.asked) == 4
    assert files.read_file("data.bin") == "before"
    web.on("/none", says(404))
    with pytest.raises(NotFoundError):
        api.download("/none", "data.bin")


def test_a_download_is_bounded_by_the_workspace_and_by_the_call(web, api, files):
    web.on("/x", part_of(DATA, most=len(DATA)))
    web.on("/y", streams(DATA, DATA, kind="application/zip"))
    for path, options in (("/y", {}), ("/x", {"max_bytes": 1000})):
        with pytest.raises(InvalidResponse, match="may have"):
            api.download(path, "data.bin", **options)
    assert files.glob("**") == []


def test_what_says_that_it_is_too_large_is_not_fetched(web, api, files):
    def declares(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "200000000000")
        handler.end_headers()
        handler.server.over.wait(20)

    web.on("/x", declares)
    with pytest.raises(InvalidResponse, match="may have 300,000 bytes"):
        api.download("/x", "data.bin", max_bytes=400_000_000_000)
    assert files.glob("**") == []


def test_a_workspace_may_have_no_limit_or_be_read_only(web, make_api, tmp_path):
    web.on("/x", part_of(DATA, most=len(DATA)))
    with FileSystemManager(tmp_path / "large", max_size=0) as files:
        assert make_api(workspace=files).download("/x", "data.bin").size == len(DATA)
    web.asked.clear()
    with FileSystemManager(tmp_path / "large", read_only=True) as files:
        with pytest.raises(AgentnbError, match=r"read.only"):
            make_api(workspace=files).download("/x", "data.bin")
        assert files.read_file("data.bin", encoding=None) == DATA
    assert not web.asked


def test_a_download_goes_nowhere_but_to_the_workspace(web, api, client):
    with pytest.raises(PathEscape):
        api.download("/x", "../data.bin")
    with pytest.raises(UsageError, match="no workspace"):
        client.download("/x", "data.bin")
    assert not web.asked


def test_a_download_that_is_packed_is_unpacked_and_never_gone_on_with(web, api, files):
    packed = gzip.compress(DATA)

    def sends(most):
        def act(handler):
            handler.send_response(200)
            handler.send_header("Content-Encoding", "gzip")
            handler.send_header("ETag", '"v1"')
            handler.send_header("Content-Length", str(len(packed)))
            handler.end_headers()
            handler.wfile.write(packed[:most])
            handler.close_connection = True

        return act

    web.on("/x", sends(len(packed) // 2), sends(len(packed)))
    assert api.download("/x", "data.bin").restarted <= 1
    assert files.read_file("data.bin", encoding=None) == DATA
    assert ranges_of(web) == [None, None]


def test_a_download_that_is_cancelled_is_cut_off_and_writes_nothing(web, api, files):
    def stops(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"x" * 10)
        handler.wfile.flush()
        handler.server.over.wait(60)

    web.on("/x", stops)
    come = threading.Event()

    async def main():
        running = asyncio.ensure_future(
            api.adownload("/x", "data.bin", on_progress=lambda *_: come.set())
        )
        while not come.is_set():  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        api._call_threads.close()
        async with asyncio.timeout(30):
            while api._call_threads.count:  # noqa: ASYNC110 - of a thread
                await asyncio.sleep(0.01)

    asyncio.run(main())
    assert len(web.asked) == 1  # it is not tried again
    assert files.glob("**") == []


def test_the_progress_of_an_awaited_download_is_told_on_the_callers_loop(web, api):
    web.on("/x", part_of(DATA, most=len(DATA)))
    seen = []

    async def note(done, size):
        seen.append((asyncio.get_running_loop(), done, size))

    async def main():
        await api.adownload("/x", "data.bin", on_progress=note)
        assert seen[-1] == (asyncio.get_running_loop(), len(DATA), len(DATA))

    asyncio.run(main())


def test_a_download_that_is_cancelled_between_two_calls_makes_no_other(web, make_api, files):
    web.on("/x", *[part_of(DATA, most=100_000)] * 2, part_of(DATA, most=len(DATA)))
    api = make_api(workspace=files, retries=RetryPolicy(attempts=3, first=0.5, cap=0.5))

    async def main():
        running = asyncio.ensure_future(api.adownload("/x", "data.bin"))
        while not api.count.retries:  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        api._call_threads.close()
        async with asyncio.timeout(30):
            while api._call_threads.count:  # noqa: ASYNC110 - of a thread
                await asyncio.sleep(0.01)

    asyncio.run(main())
    assert len(web.asked) == 1
    assert files.glob("**") == []
