"""The methods of a client that make a call and return its reply, or the data of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from agentnb.core.keywords import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import TypeForm

    from agentnb.core.api.arguments import CallOptions, JsonOptions, Options
    from agentnb.core.api.request import Reply

__all__ = ["Verbs"]

T = TypeVar("T")


@refuse_unknown("api")
class Verbs:
    """Calls whose reply is read as a whole.

    For a type checker the data is of the type of ``schema=``, text or bytes with ``expect=``, and
    any JSON else.
    """

    def _reply(self, method: str, url: str, data: Any, options: Mapping[str, Any]) -> Reply:
        raise NotImplementedError

    async def _areply(self, method: str, url: str, data: Any, options: Mapping[str, Any]) -> Reply:
        raise NotImplementedError

    @overload
    def request(
        self,
        method: str,
        url: str,
        data: Any = ...,
        *,
        schema: TypeForm[T],
        etag: str | None,
        **options: Unpack[CallOptions],
    ) -> Reply[T | None]: ...
    @overload
    def request(
        self,
        method: str,
        url: str,
        data: Any = ...,
        *,
        schema: TypeForm[T],
        **options: Unpack[CallOptions],
    ) -> Reply[T]: ...
    @overload
    def request(
        self,
        method: str,
        url: str,
        data: Any = ...,
        *,
        expect: Literal["text"],
        **options: Unpack[CallOptions],
    ) -> Reply[str]: ...
    @overload
    def request(
        self,
        method: str,
        url: str,
        data: Any = ...,
        *,
        expect: Literal["bytes"],
        **options: Unpack[CallOptions],
    ) -> Reply[bytes]: ...
    @overload
    def request(
        self, method: str, url: str, data: Any = ..., **options: Unpack[JsonOptions]
    ) -> Reply: ...
    def request(self, method: str, url: str, data: Any = None, **options: Unpack[Options]) -> Reply:
        """Make a call, and return the whole reply: status and headers beside the data.

        Parameters
        ----------
        method
            As ``"GET"``.
        url
            A path under the base URL, or a whole URL; to another origin neither the client's
            headers nor its `auth` are sent.
        data
            Sent as JSON: any value with a JSON form, see `agentnb.core.codec.plain`; bytes are
            sent as they are.
        **options
            See `Options`; each wins over the client's.

        Raises
        ------
        UsageError
            The call cannot be made as it is.
        NotFoundError
            404 or 410.
        RateLimited
            429, or 503 with ``Retry-After``, and the wait is too long; `reset_at` says how long.
        InvalidResponse
            The reply is no JSON, not the schema's, or too large.
        RejectedError
            Another 4xx, or a redirect that was not to be followed.
        UnavailableError
            5xx, or the host cannot be reached; `CircuitOpen`, if that was so a moment ago.
        DeadlineExceeded
            It took longer than `timeout`.

        Notes
        -----
        Statuses are in the errors' ``status``.
        """
        return self._reply(method, url, data, options)

    @overload
    async def arequest(
        self,
        method: str,
        url: str,
        data: Any = ...,
        *,
        schema: TypeForm[T],
        etag: str | None,
        **options: Unpack[CallOptions],
    ) -> Reply[T | None]: ...
    @overload
    async def arequest(
        self,
        method: str,
        url: str,
        data: Any = ...,
        *,
        schema: TypeForm[T],
        **options: Unpack[CallOptions],
    ) -> Reply[T]: ...
    @overload
    async def arequest(
        self,
        method: str,
        url: str,
        data: Any = ...,
        *,
        expect: Literal["text"],
        **options: Unpack[CallOptions],
    ) -> Reply[str]: ...
    @overload
    async def arequest(
        self,
        method: str,
        url: str,
        data: Any = ...,
        *,
        expect: Literal["bytes"],
        **options: Unpack[CallOptions],
    ) -> Reply[bytes]: ...
    @overload
    async def arequest(
        self, method: str, url: str, data: Any = ..., **options: Unpack[JsonOptions]
    ) -> Reply: ...
    async def arequest(
        self, method: str, url: str, data: Any = None, **options: Unpack[Options]
    ) -> Reply:
        """Await `request`."""
        return await self._areply(method, url, data, options)

    def head(self, url: str, **options: Unpack[Options]) -> Reply[None]:
        """Return the reply of a HEAD: status and headers. It is made again as a GET is."""
        return self._reply("HEAD", url, None, options)

    async def ahead(self, url: str, **options: Unpack[Options]) -> Reply[None]:
        """Await `head`."""
        return await self._areply("HEAD", url, None, options)

    @overload
    def get(
        self, url: str, *, schema: TypeForm[T], etag: str | None, **options: Unpack[CallOptions]
    ) -> T | None: ...
    @overload
    def get(self, url: str, *, schema: TypeForm[T], **options: Unpack[CallOptions]) -> T: ...
    @overload
    def get(self, url: str, *, expect: Literal["text"], **options: Unpack[CallOptions]) -> str: ...
    @overload
    def get(
        self, url: str, *, expect: Literal["bytes"], **options: Unpack[CallOptions]
    ) -> bytes: ...
    @overload
    def get(self, url: str, **options: Unpack[JsonOptions]) -> Any: ...
    def get(self, url: str, **options: Unpack[Options]) -> Any:
        """Return the data of a GET, which is made again if that may help. See `request`."""
        return self._reply("GET", url, None, options).data

    @overload
    async def aget(
        self, url: str, *, schema: TypeForm[T], etag: str | None, **options: Unpack[CallOptions]
    ) -> T | None: ...
    @overload
    async def aget(self, url: str, *, schema: TypeForm[T], **options: Unpack[CallOptions]) -> T: ...
    @overload
    async def aget(
        self, url: str, *, expect: Literal["text"], **options: Unpack[CallOptions]
    ) -> str: ...
    @overload
    async def aget(
        self, url: str, *, expect: Literal["bytes"], **options: Unpack[CallOptions]
    ) -> bytes: ...
    @overload
    async def aget(self, url: str, **options: Unpack[JsonOptions]) -> Any: ...
    async def aget(self, url: str, **options: Unpack[Options]) -> Any:
        """Await `get`."""
        return (await self._areply("GET", url, None, options)).data

    @overload
    def post(
        self, url: str, data: Any = ..., *, schema: TypeForm[T], **options: Unpack[CallOptions]
    ) -> T: ...
    @overload
    def post(
        self, url: str, data: Any = ..., *, expect: Literal["text"], **options: Unpack[CallOptions]
    ) -> str: ...
    @overload
    def post(
        self, url: str, data: Any = ..., *, expect: Literal["bytes"], **options: Unpack[CallOptions]
    ) -> bytes: ...
    @overload
    def post(self, url: str, data: Any = ..., **options: Unpack[JsonOptions]) -> Any: ...
    def post(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Return the data of a POST, which is made once. See `request`."""
        return self._reply("POST", url, data, options).data

    @overload
    async def apost(
        self, url: str, data: Any = ..., *, schema: TypeForm[T], **options: Unpack[CallOptions]
    ) -> T: ...
    @overload
    async def apost(
        self, url: str, data: Any = ..., *, expect: Literal["text"], **options: Unpack[CallOptions]
    ) -> str: ...
    @overload
    async def apost(
        self, url: str, data: Any = ..., *, expect: Literal["bytes"], **options: Unpack[CallOptions]
    ) -> bytes: ...
    @overload
    async def apost(self, url: str, data: Any = ..., **options: Unpack[JsonOptions]) -> Any: ...
    async def apost(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Await `post`."""
        return (await self._areply("POST", url, data, options)).data

    @overload
    def put(
        self, url: str, data: Any = ..., *, schema: TypeForm[T], **options: Unpack[CallOptions]
    ) -> T: ...
    @overload
    def put(
        self, url: str, data: Any = ..., *, expect: Literal["text"], **options: Unpack[CallOptions]
    ) -> str: ...
    @overload
    def put(
        self, url: str, data: Any = ..., *, expect: Literal["bytes"], **options: Unpack[CallOptions]
    ) -> bytes: ...
    @overload
    def put(self, url: str, data: Any = ..., **options: Unpack[JsonOptions]) -> Any: ...
    def put(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Return the data of a PUT, which is made once. See `request`."""
        return self._reply("PUT", url, data, options).data

    @overload
    async def aput(
        self, url: str, data: Any = ..., *, schema: TypeForm[T], **options: Unpack[CallOptions]
    ) -> T: ...
    @overload
    async def aput(
        self, url: str, data: Any = ..., *, expect: Literal["text"], **options: Unpack[CallOptions]
    ) -> str: ...
    @overload
    async def aput(
        self, url: str, data: Any = ..., *, expect: Literal["bytes"], **options: Unpack[CallOptions]
    ) -> bytes: ...
    @overload
    async def aput(self, url: str, data: Any = ..., **options: Unpack[JsonOptions]) -> Any: ...
    async def aput(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Await `put`."""
        return (await self._areply("PUT", url, data, options)).data

    @overload
    def patch(
        self, url: str, data: Any = ..., *, schema: TypeForm[T], **options: Unpack[CallOptions]
    ) -> T: ...
    @overload
    def patch(
        self, url: str, data: Any = ..., *, expect: Literal["text"], **options: Unpack[CallOptions]
    ) -> str: ...
    @overload
    def patch(
        self, url: str, data: Any = ..., *, expect: Literal["bytes"], **options: Unpack[CallOptions]
    ) -> bytes: ...
    @overload
    def patch(self, url: str, data: Any = ..., **options: Unpack[JsonOptions]) -> Any: ...
    def patch(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Return the data of a PATCH, which is made once. See `request`."""
        return self._reply("PATCH", url, data, options).data

    @overload
    async def apatch(
        self, url: str, data: Any = ..., *, schema: TypeForm[T], **options: Unpack[CallOptions]
    ) -> T: ...
    @overload
    async def apatch(
        self, url: str, data: Any = ..., *, expect: Literal["text"], **options: Unpack[CallOptions]
    ) -> str: ...
    @overload
    async def apatch(
        self, url: str, data: Any = ..., *, expect: Literal["bytes"], **options: Unpack[CallOptions]
    ) -> bytes: ...
    @overload
    async def apatch(self, url: str, data: Any = ..., **options: Unpack[JsonOptions]) -> Any: ...
    async def apatch(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Await `patch`."""
        return (await self._areply("PATCH", url, data, options)).data

    @overload
    def delete(
        self, url: str, data: Any = ..., *, schema: TypeForm[T], **options: Unpack[CallOptions]
    ) -> T: ...
    @overload
    def delete(
        self, url: str, data: Any = ..., *, expect: Literal["text"], **options: Unpack[CallOptions]
    ) -> str: ...
    @overload
    def delete(
        self, url: str, data: Any = ..., *, expect: Literal["bytes"], **options: Unpack[CallOptions]
    ) -> bytes: ...
    @overload
    def delete(self, url: str, data: Any = ..., **options: Unpack[JsonOptions]) -> Any: ...
    def delete(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Return the data of a DELETE, which is made once. See `request`."""
        return self._reply("DELETE", url, data, options).data

    @overload
    async def adelete(
        self, url: str, data: Any = ..., *, schema: TypeForm[T], **options: Unpack[CallOptions]
    ) -> T: ...
    @overload
    async def adelete(
        self, url: str, data: Any = ..., *, expect: Literal["text"], **options: Unpack[CallOptions]
    ) -> str: ...
    @overload
    async def adelete(
        self, url: str, data: Any = ..., *, expect: Literal["bytes"], **options: Unpack[CallOptions]
    ) -> bytes: ...
    @overload
    async def adelete(self, url: str, data: Any = ..., **options: Unpack[JsonOptions]) -> Any: ...
    async def adelete(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Await `delete`."""
        return (await self._areply("DELETE", url, data, options)).data
