from __future__ import annotations

import asyncio
import json
import threading

import pytest

import agentnb
from agentnb.core.errors import (
    ConfigError,
    InvalidResponse,
    NotFoundError,
    RejectedError,
    UsageError,
)

from .api_server import says
from .github_server import TOKEN, GitHubServer


@pytest.fixture
def server():
    made = GitHubServer()
    yield made
    made.stop()


@pytest.fixture
def connect(tmp_path, server):
    made = []

    def hub(**settings):
        options = {"github_token": TOKEN, "github_url": server.url} | settings
        made.append(agentnb.connect(home=tmp_path / "home", start=tmp_path, **options))
        return made[-1]

    yield hub
    for one in made:
        one.close()


@pytest.fixture
def github(connect):
    return connect().github


def test_a_pull_request_is_made_found_listed_and_commented(github, server):
    made = github.create_pull_request("ada/app", "New feature", "feature", body="Says why.")
    assert (made["number"], made["base"], made["draft"]) == (1, "main", False)
    assert github.get_pull_request("ada/app", 1) == made
    assert github.list_pull_requests("ada/app") == [made]
    assert github.comment("ada/app", 1, "Looks good")["body"] == "Looks good"
    headers = {name.lower(): value for name, value in server.asked[0][2].items()}
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["accept"] == "application/vnd.github+json"
    assert TOKEN not in f"{github!r} {github.client!r}"


def test_github_is_awaited_without_a_thread(github):
    async def main():
        made = await github.acreate_pull_request("ada/app", "New feature", "feature", body="Why.")
        assert await github.aget_pull_request("ada/app", 1) == made
        assert await github.alist_pull_requests("ada/app") == [made]
        assert (await github.acomment("ada/app", 1, "Good"))["body"] == "Good"
        assert [one async for one in github.apaginate("/repos/ada/app/pulls", limit=1)] == [made]
        with pytest.raises(NotFoundError):
            await github.aget_pull_request("ada/app", 2)
        with pytest.raises(UsageError, match="state must be"):
            await github.alist_pull_requests("ada/app", "new")
        await github.client.aclose()

    asyncio.run(main())
    assert not [one for one in threading.enumerate() if one.name == "agentnb-api"]


def test_a_second_pull_request_of_a_branch_is_refused_with_github_s_words(github):
    github.create_pull_request("ada/app", "One", "feature")
    with pytest.raises(RejectedError, match=r"Validation Failed.*already exists") as caught:
        github.create_pull_request("ada/app", "Two", "feature")
    assert caught.value.status == 422


def test_pages_are_followed_as_they_are_wanted(github, server):
    for number in range(1, 8):
        github.create_pull_request("ada/app", f"{number}", f"branch-{number}")
    server.asked.clear()
    pages = github.paginate("/repos/ada/app/pulls", per_page=3)
    assert [next(pages)["number"], next(pages)["number"]] == [7, 6]
    assert len(server.asked) == 1
    assert [one["number"] for one in pages] == [5, 4, 3, 2, 1]
    assert len(server.asked) == 3
    found = list(github.paginate("/repos/ada/app/pulls", limit=4, per_page=3))
    assert [one["number"] for one in found] == [7, 6, 5, 4]
    assert len(github.list_pull_requests("ada/app", "all", limit=2)) == 2
    assert github.list_pull_requests("ada/app", "closed") == []


@pytest.mark.parametrize("awaited", [False, True], ids=["called", "awaited"])
def test_the_pages_of_a_list_are_below_one_span(connect, server, awaited):
    hub = connect()
    for number in range(1, 5):
        hub.github.create_pull_request("ada/app", f"{number}", f"branch-{number}")

    async def some():
        pages = hub.github.apaginate("/repos/ada/app/pulls", per_page=2)
        async for _ in pages:
            hub.files.exists("between")
            if len(server.asked) == 2:
                break
        await pages.aclose()
        await hub.github.client.aclose()

    def same():
        pages = hub.github.paginate("/repos/ada/app/pulls", per_page=2)
        for _ in pages:
            hub.files.exists("between")
            if len(server.asked) == 2:
                break
        pages.close()

    server.asked.clear()
    with hub.trace.run("list") as top:
        asyncio.run(some()) if awaited else same()
    trace = hub.trace.last()
    [pages] = trace.find(name="pages")
    assert (pages.outcome, pages.attributes) == ("ok", {"path": "/repos/ada/app/pulls"})
    assert [one.name for one in trace.children(pages)] == ["GET", "GET"]
    assert {one.name for one in trace.spans if one.parent == top.span} == {"pages", "exists"}


@pytest.mark.parametrize(
    "name", ["workflow_runs", "jobs", "check_runs", "artifacts", "secrets", "items"]
)
def test_pages_that_have_their_list_beside_a_count_are_followed(connect, web, name):
    def page(number, **headers):
        return says(200, {"total_count": 3, name: number, "repository": {}}, **headers)

    github = connect(github_url=web.url).github
    after = f'<{web.url}/x?page=2>; rel="next"'
    web.on("/x", page([1, 2], Link=after), page([3]))
    assert list(github.paginate("/x")) == [1, 2, 3]
    web.on("/x", page([1, 2], Link=after), page([3]))
    assert list(github.paginate("/x", limit=2)) == [1, 2]


@pytest.mark.parametrize(
    "page", [{"total_count": 2, "a": [1], "b": [2]}, {"total_count": 0}, {"items": [1]}, 7]
)
def test_a_page_without_one_list_is_an_error(connect, web, page):
    web.on("/x", says(200, page))
    with pytest.raises(InvalidResponse, match="/x is not a list"):
        list(connect(github_url=web.url).github.paginate("/x"))


def test_a_search_that_was_not_finished_says_so(connect, web, caplog):
    web.on("/x", says(200, {"total_count": 1, "incomplete_results": True, "items": [1]}))
    assert list(connect(github_url=web.url).github.paginate("/x")) == [1]
    assert "the results are incomplete" in caplog.text


def test_a_next_page_of_another_host_is_not_fetched(connect, web):
    links = '<https://evil.example/?page=2>; rel="next"'
    web.on("/repos/ada/app/pulls", says(200, [1, 2], Link=links))
    found = connect(github_url=web.url).github.paginate("/repos/ada/app/pulls")
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(InvalidResponse, match="same host"):
        next(found)


def test_without_a_token_one_can_read_and_is_told_how_to_write(connect, server, monkeypatch):
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    github = connect(github_token=None).github
    assert github.list_pull_requests("ada/app") == []
    server.asked.clear()
    for call in (
        lambda: github.create_pull_request("ada/app", "t", "h"),
        lambda: github.comment("ada/app", 1, "c"),
    ):
        with pytest.raises(ConfigError, match="GITHUB_TOKEN"):
            call()
    assert not server.asked


def test_what_is_not_there_is_not_found(github):
    with pytest.raises(NotFoundError):
        github.get_pull_request("ada/app", 99)


@pytest.mark.parametrize("repository", ["app", "ada/app/x", "ada/../x", "", "ada/app?x", None])
def test_what_is_no_repository_is_refused(github, server, repository):
    with pytest.raises(UsageError):
        github.get_pull_request(repository, 1)
    with pytest.raises(UsageError):
        github.get_pull_request("ada/app", 0)
    assert not server.asked


def test_the_hub_keeps_one_client_for_a_base_url_and_its_options(connect, web):
    web.on("/x", says(200, 1))
    hub = connect(api_timeout=7)
    one = hub.api(web.url)
    assert one is hub.api(f"{web.url}/")
    assert one._context.options.timeout == 7
    other = hub.api(web.url, headers={"X-A": "1"}, timeout=3)
    assert other is not one
    assert other is hub.api(web.url, headers={"X-A": "1"}, timeout=3)
    assert other._context.options.timeout == 3
    assert other.breakers is one.breakers
    assert other is not hub.api(web.url, auth=("ada", "x"))
    other.close()
    assert hub.api(web.url, headers={"X-A": "1"}, timeout=3).closed is False
    assert other not in hub.apis.all()
    one.get("/x")
    assert hub.tracer.recent(1)[0].service == "api"
    assert next(row for row in hub.health().rows if row[0] == "api")[1:3] == ("3 clients", "ok")
    hub.close()
    with pytest.raises(UsageError, match="closed"):
        one.get("/x")


def test_the_health_says_which_host_is_left_alone(connect, web):
    web.on("/x", says(500))
    hub = connect()
    client = hub.api(web.url, retries=0)
    for _ in range(5):
        with pytest.raises(agentnb.UnavailableError):
            client.get("/x")
    state = next(row for row in hub.health().rows if row[0] == "api")[2]
    assert state.startswith(f"CircuitOpen: {web.url} is left alone")
    assert hub.apis.table().dicts()[0]["breaker"].startswith("open")


def test_the_hub_s_log_has_the_calls_that_failed_with_the_trace_and_no_secret(
    connect, web, tmp_path
):
    web.on("/x", says(500, {"message": "hunter22hunter22"}))
    hub = connect()
    hub.settings.redactor.add("hunter22hunter22")
    with pytest.raises(agentnb.UnavailableError):
        hub.api(web.url, retries=0).get("/x", params={"sig": "hunter22hunter22"})
    hub.close()
    text = "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    records = [json.loads(line) for line in text.splitlines()]
    failed = next(one for one in records if one.get("logger") == "agentnb.api")
    span = next(one for one in records if one.get("service") == "api")
    assert (failed["level"], failed["data"]["status"]) == ("ERROR", 500)
    assert failed["trace_id"] == span["trace_id"]
    assert failed["data"]["url"] == f"{web.url}/x?sig=••••••"
    assert "hunter22hunter22" not in text
