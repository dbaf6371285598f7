"""Files of URLs for the databases of a hub, by the hub's API clients and within their limits."""

from __future__ import annotations

import gzip
import re
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from agentnb.core.errors import AgentnbError, InvalidResponse, UnavailableError
from agentnb.core.format import size as size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agentnb.core.hub import Hub

__all__ = ["Fetcher"]

_TYPES = {
    "text/csv": ".csv",
    "application/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/json": ".json",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
    "application/x-parquet": ".parquet",
}
_HTML = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_NO_NAME = re.compile(r"[^\w.-]+")
_PIECE = 1_000_000


class Fetcher:
    """Downloads a file for as long as a block reads it.

    Parameters
    ----------
    hub
        The hub, whose API clients make the calls.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def shown(self, url: str) -> str:
        """Return a URL without login and secrets."""
        from agentnb.core.api.address import shown

        return shown(url, self._hub.settings.redactor)

    @contextmanager
    def __call__(
        self,
        url: str,
        seconds: float | None,
        on_progress: Callable[[int, int | None], object],
    ) -> Iterator[Path]:
        """Run a block with the file of a URL.

        Raises
        ------
        InvalidResponse
            It is a page of HTML, of no known format, or larger than ``AGENTNB_DB_MAX_BYTES``, also
            once it is unpacked.
        AgentnbError
            As `APIClient.download`.
        """
        with tempfile.TemporaryDirectory(prefix="agentnb-load-") as name:
            try:
                path = self._download(Path(name), url, seconds, on_progress)
            except AgentnbError:  # some of which are an OSError, too
                raise
            except OSError as error:
                raise UnavailableError(
                    f"GET {self.shown(url)}: the file cannot be kept: {error.strerror}",
                    service="db",
                    hint="free some room on the disk of TMPDIR, then run this again",
                ) from error
            yield path

    def _download(
        self,
        folder: Path,
        url: str,
        seconds: float | None,
        on_progress: Callable[[int, int | None], object],
    ) -> Path:
        from agentnb.core.api.address import origin_of

        apis, largest = self._hub.apis, self._hub.settings.db_max_bytes
        client = apis.serving(url) or self._hub.api(origin_of(url))
        part = folder / "part"
        with part.open("w+b") as file:
            found = client._fetch(  # noqa: SLF001 - the hub composes its services
                file,
                url,
                largest=largest,
                on_progress=on_progress,
                follow_redirects=True,
                timeout=seconds,
            )
            file.flush()
            path = folder / self._name(url, found.headers, file)
        if path.suffix == ".gz":
            self._unpack(url, part, path.with_suffix(""), largest)
            return path.with_suffix("")
        part.rename(path)
        return path

    def _name(self, url: str, headers: Mapping[str, str], file: IO[bytes]) -> str:
        """Return the name of a file, whose end is its format."""
        from agentnb.core.db.sources import SUFFIXES

        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        file.seek(0)
        first = file.read(512)
        if kind in {"text/html", "application/xhtml+xml"} or _HTML.match(first):
            raise self._invalid(url, "sent a page of HTML, and no data", _HINT_HTML)
        plain = _NO_NAME.sub("-", unquote(urlsplit(url).path).rpartition("/")[2])[-80:].lower()
        suffix = next((one for one in SUFFIXES if plain.endswith(one)), None)
        if suffix is None:
            suffix = _TYPES.get(kind)
            if suffix is None:
                raise self._invalid(
                    url,
                    f"sent {kind or 'data without a type'}, which is no format that is loaded",
                    f"the URL ends in {', '.join(SUFFIXES)}, or the reply says text/csv, "
                    "application/json or the like",
                )
            plain = (plain or "data") + suffix
        packed = first.startswith(b"\x1f\x8b")
        if packed != plain.endswith(".gz"):
            return f"{plain}.gz" if packed else plain.removesuffix(".gz")
        return plain

    def _unpack(self, url: str, packed: Path, path: Path, largest: int) -> None:
        size = 0
        try:
            with gzip.open(packed) as source, path.open("wb") as file:
                while piece := source.read(_PIECE):
                    size += len(piece)
                    if size > largest:
                        raise self._invalid(
                            url,
                            f"sent a file of more than {size_text(largest)} once it is unpacked",
                            _HINT_SIZE,
                        )
                    file.write(piece)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise self._invalid(
                url, f"sent a damaged file: {error}", "it is cut off or damaged: fetch it again"
            ) from error

    def _invalid(self, url: str, why: str, hint: str) -> InvalidResponse:
        return InvalidResponse(f"GET {self.shown(url)} {why}", service="db", hint=hint)


_HINT_HTML = "it may want a login: use the address of the file itself, as of its download button"
_HINT_SIZE = "nothing was loaded; raise AGENTNB_DB_MAX_BYTES, or load a smaller file"
