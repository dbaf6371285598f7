"""GitHub: pull requests, and other lists in pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from agentnb.core.errors import ConfigError, InvalidResponse, UsageError
from agentnb.core.keywords import refuse_unknown
from agentnb.core.ranges import whole
from agentnb.core.runtime import Runtime
from agentnb.core.trace.context import use
from agentnb.core.trace.spans import Span
from agentnb.core.trace.streaming import Streaming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from agentnb.core.api.client import APIClient
    from agentnb.core.api.request import Reply

__all__ = ["GitHub"]

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_NEXT = re.compile(r"<(?P<url>[^>]*)>\s*;[^,<]*\brel=\"?next\"?", re.IGNORECASE)
_STATES = ("open", "closed", "all")
HEADERS = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}
"""Source: https://docs.github.com/en/rest/about-the-rest-api/api-versions."""


@refuse_unknown("api")
class GitHub:
    """GitHub's API, as far as a release needs it; `client` is there for all else.

    Parameters
    ----------
    client
        The client of the API, with a token if there is one.
    has_token
        Whether there is; without it nothing can be written.
    runtime
        Tracer and logs; default: new ones.
    """

    def __init__(
        self, client: APIClient, *, has_token: bool, runtime: Runtime | None = None
    ) -> None:
        self.client = client
        runtime = runtime or Runtime()
        self._log, self._tracer = runtime.log("api"), runtime.tracer
        self._has_token = has_token

    def create_pull_request(
        self,
        repository: str,
        title: str,
        head: str,
        base: str = "main",
        body: str = "",
        *,
        draft: bool = False,
    ) -> dict[str, Any]:
        """Ask to merge a branch, and return the pull request.

        Parameters
        ----------
        repository
            As ``"owner/name"``.
        title, body
            The texts; the body is Markdown.
        head
            The branch with the changes, as ``"branch"`` or ``"owner:branch"``.
        base
            The branch that they are for.
        draft
            Whether the pull request is a draft.

        Raises
        ------
        ConfigError
            There is no GITHUB_TOKEN.
        RejectedError
            GitHub refuses: there is no such branch, nothing to merge, or one is open already.
        """
        self._check_token()
        data = {"title": title, "head": head, "base": base, "body": body, "draft": draft}
        return _mapping(self.client.post(f"{_path(repository)}/pulls", data))

    async def acreate_pull_request(
        self,
        repository: str,
        title: str,
        head: str,
        base: str = "main",
        body: str = "",
        *,
        draft: bool = False,
    ) -> dict[str, Any]:
        """Await `create_pull_request`."""
        self._check_token()
        data = {"title": title, "head": head, "base": base, "body": body, "draft": draft}
        return _mapping(await self.client.apost(f"{_path(repository)}/pulls", data))

    def get_pull_request(self, repository: str, number: int) -> dict[str, Any]:
        """Return a pull request.

        Raises
        ------
        NotFoundError
            There is none of that number, or the token may not see it.
        """
        return _mapping(self.client.get(f"{_path(repository)}/pulls/{_number(number)}"))

    async def aget_pull_request(self, repository: str, number: int) -> dict[str, Any]:
        """Await `get_pull_request`."""
        return _mapping(await self.client.aget(f"{_path(repository)}/pulls/{_number(number)}"))

    def list_pull_requests(
        self,
        repository: str,
        state: Literal["open", "closed", "all"] = "open",
        *,
        head: str | None = None,
        base: str | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Return pull requests, the newest first.

        Parameters
        ----------
        repository
            As ``"owner/name"``.
        state
            ``"open"``, ``"closed"`` or ``"all"``.
        head, base
            Only those of this ``"owner:branch"``, or for this branch.
        limit
            Results at most.
        """
        return list(
            self.paginate(
                f"{_path(repository)}/pulls", limit=limit, **_query(state, head, base, limit)
            )
        )

    async def alist_pull_requests(
        self,
        repository: str,
        state: Literal["open", "closed", "all"] = "open",
        *,
        head: str | None = None,
        base: str | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Await `list_pull_requests`."""
        pages = self.apaginate(
            f"{_path(repository)}/pulls", limit=limit, **_query(state, head, base, limit)
        )
        return [one async for one in pages]

    def comment(self, repository: str, number: int, body: str) -> dict[str, Any]:
        """Comment a pull request or an issue, and return the comment.

        Raises
        ------
        ConfigError
            There is no GITHUB_TOKEN.
        """
        self._check_token()
        path = f"{_path(repository)}/issues/{_number(number)}/comments"
        return _mapping(self.client.post(path, {"body": body}))

    async def acomment(self, repository: str, number: int, body: str) -> dict[str, Any]:
        """Await `comment`."""
        self._check_token()
        path = f"{_path(repository)}/issues/{_number(number)}/comments"
        return _mapping(await self.client.apost(path, {"body": body}))

    def paginate(self, path: str, *, limit: int | None = None, **params: Any) -> Iterator[Any]:
        """Yield the things that a path lists, page after page as they are wanted.

        Source: https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
        (the ``Link`` header names the next page).

        Parameters
        ----------
        path
            Such as ``"/repos/owner/name/issues"``, or ``"/repos/owner/name/actions/runs"``, whose
            pages have their list beside a ``total_count``.
        limit
            Results at most; None for all.
        **params
            The first page's query; ``per_page=100`` takes the fewest calls.

        Raises
        ------
        InvalidResponse
            A page is no list, or names one as the next that is another host's.
        """
        pages = _Pages(self, path, limit, params)
        with Streaming(self._span(path)) as span:
            while (url := pages.following()) is not None:
                with use(span):
                    reply = self.client.request("GET", url, params=pages.query)
                yield from pages.take(reply)

    async def apaginate(
        self, path: str, *, limit: int | None = None, **params: Any
    ) -> AsyncIterator[Any]:
        """Yield what `paginate` yields: ``async for``."""
        pages = _Pages(self, path, limit, params)
        with Streaming(self._span(path)) as span:
            while (url := pages.following()) is not None:
                with use(span):
                    reply = await self.client.arequest("GET", url, params=pages.query)
                for one in pages.take(reply):
                    yield one

    def _span(self, path: str) -> Span:
        """Return the span of all pages."""
        return Span(self._tracer, "pages", "api", 1, {"path": path}, "step")

    def _listed(self, page: Any, path: str) -> list[Any]:
        """Return the list that a page is, or that it holds beside the ``total_count``.

        Source: https://docs.github.com/en/rest/actions/workflow-runs (``workflow_runs``, as other
        lists have ``jobs``, ``check_runs``, ``artifacts`` and searches ``items``).
        """
        if isinstance(page, list):
            return page
        if isinstance(page, dict) and "total_count" in page:
            if page.get("incomplete_results") is True:
                self._log.warning("GitHub did not search all: the results are incomplete")
            lists = [value for value in page.values() if isinstance(value, list)]
            if len(lists) == 1:
                return lists[0]
        raise _not("a list", path)

    def _check_token(self) -> None:
        if not self._has_token:
            raise ConfigError(
                "GITHUB_TOKEN is not set",
                service="api",
                hint="put a token that may write pull requests into the environment or .env",
            )

    def close(self) -> None:
        """Do nothing: the client is its owner's to close."""

    def __repr__(self) -> str:
        return f"GitHub({self.client.base_url!r})"


class _Pages:
    """The pages of a list: the next one's address, and the results up to the limit."""

    def __init__(
        self, github: GitHub, path: str, limit: int | None, params: dict[str, Any]
    ) -> None:
        if limit is not None:
            whole("limit", limit, service="api", hint="limit=100, or None for all")
        self._github, self._path, self._left = github, path, limit
        self._url: str | None = path
        self._linked = False
        self.query = params

    def following(self) -> str | None:
        """Return the address of the next page, None for no other; its query is in `query`."""
        url = self._url
        if url is not None and self._linked:
            origin = self._github.client.origin
            if not url.startswith((f"{origin}/", "/")) or url.startswith("//"):
                raise _not("under the same host in its next page", self._path)
        return url

    def take(self, reply: Reply) -> list[Any]:
        """Return the results of a page, and note the address of the next."""
        found = self._github._listed(reply.data, self._path)  # noqa: SLF001 - of this module
        after = _NEXT.search(reply.headers.get("link", ""))
        self._url, self._linked, self.query = after and after["url"], True, {}
        if self._left is not None:
            found = found[: self._left]
            self._left -= len(found)
            if self._left <= 0:
                self._url = None
        return found


def _query(state: str, head: str | None, base: str | None, limit: int) -> dict[str, Any]:
    """Return the query of a list of pull requests."""
    if state not in _STATES:
        raise UsageError(
            f"state must be one of {', '.join(_STATES)}, got {state!r:.60}",
            service="api",
            hint="hub.github.list_pull_requests('owner/name', 'all')",
        )
    return {"state": state, "head": head, "base": base, "per_page": min(limit, 100)}


def _path(repository: str) -> str:
    if not isinstance(repository, str) or not _REPOSITORY.fullmatch(repository):
        raise UsageError(f"{repository!r} is no repository", service="api", hint="as in owner/name")
    return f"/repos/{quote(repository)}"


def _number(number: int) -> int:
    if not isinstance(number, int) or number < 1:
        raise UsageError(
            f"number must be that of a pull request, got {number!r:.60}",
            service="api",
            hint="hub.github.list_pull_requests('owner/name') lists them",
        )
    return number


def _mapping(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise _not("an object", "the reply")
    return found


def _not(what: str, where: str) -> InvalidResponse:
    return InvalidResponse(
        f"{where} is not {what}",
        service="api",
        hint="hub.github.client.request('GET', PATH) shows the reply",
    )
