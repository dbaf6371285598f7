"""``%api``: call an API; ``%%api post URL``: send the cell as JSON."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_cell_magic, magics_class, needs_local_scope, no_var_expand

from agentnb.core.errors import NotFoundError, UsageError, did_you_mean
from agentnb.magics.api.grammar import GRAMMAR, saved
from agentnb.magics.base import Magic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.api import APIClient
    from agentnb.core.api.download import Downloaded
    from agentnb.core.table import Table
    from agentnb.magics.grammar import Call

__all__ = ["ApiMagic"]

_REMEMBERED = 50


@magics_class
class ApiMagic(Magic):
    """The magic ``%api`` and ``%%api``."""

    grammar = GRAMMAR

    def __init__(self, extension: Any) -> None:
        super().__init__(extension)
        self._called: deque[str] = deque(maxlen=_REMEMBERED)

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def api(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Any:
        """Call an API; `%%api post URL` sends the cell as JSON. See `%api help`."""
        __tracebackhide__ = True
        return self.call(line, cell, local_ns)

    def reset(self) -> None:
        """Clear the completions."""
        self._called.clear()

    def status(self, call: Call) -> Table:
        """Return the clients."""
        return self.do_list(call)

    def free(self, call: Call, cell: str | None, namespace: Any) -> Any:  # noqa: ARG002 - magics share a signature
        """Refuse a cell without a verb."""
        raise UsageError("%%api needs a verb", service="api", hint="%%api post URL")

    def live(self, kind: str, start: str = "") -> Iterable[str]:  # noqa: ARG002 - few enough
        """Return URLs that are known, or the notebook's variables, for Tab."""
        names = self.extension.shell.user_ns
        shown = [n for n in names if n[:1] != "_" and n not in self.extension.shell.user_ns_hidden]
        if kind == "bound":
            return [f":{name}" for name in shown]
        if kind == "schema":
            return [name for name in shown if isinstance(names[name], type)]
        bases = [client.base_url for client in self.hub.apis.all()]
        return sorted({*bases, *self._called})

    def free_names(self, before: str, word: str, text: str) -> list[tuple[str, str]]:  # noqa: ARG002 - as free
        """Return no names: in JSON only bound values have names."""
        return []

    def do_get(self, call: Call) -> Any:
        """Get, or download."""
        return self._downloaded(call) if "to" in call.options else self._made("GET", call)

    def do_head(self, call: Call) -> Any:
        """Show the headers."""
        return self._made("HEAD", call)

    def do_delete(self, call: Call) -> Any:
        """Delete."""
        return self._made("DELETE", call)

    def do_post(self, call: Call) -> Any:
        """Post."""
        return self._made("POST", call, self._data(call))

    def do_put(self, call: Call) -> Any:
        """Put."""
        return self._made("PUT", call, self._data(call))

    def do_patch(self, call: Call) -> Any:
        """Patch."""
        return self._made("PATCH", call, self._data(call))

    def do_list(self, call: Call) -> Table:  # noqa: ARG002 - as free
        """Return the clients, and the breakers of their hosts."""
        return self.hub.apis.table()

    def _data(self, call: Call) -> Any:
        from agentnb.magics.api.body import value_of

        if call.body is not None and call.body.strip():
            if len(call.arguments) > 1:
                raise UsageError(
                    "the data is on the line and in the cell", service="api", hint="give one"
                )
            return value_of(call.body, call.namespace)
        if len(call.arguments) < 2:  # noqa: PLR2004 - the URL, and the data
            return None
        if call.words[1].kind == "plain":  # a number, or true
            return value_of(call.words[1].text, call.namespace, "the data")
        return call.arguments[1]

    def _made(self, method: str, call: Call, data: Any = None) -> Any:
        from agentnb.magics.api.render import Shown

        url = self._url(call)
        client = self._client(url)
        options, redactor = self._options(call), self.hub.settings.redactor
        if "stream" in call.options:
            from agentnb.magics.api.streaming import show_stream

            with client.stream(method, url, data, **options) as coming:
                self._remember(url)
                return show_stream(coming, redactor, quiet="quiet" in call.options)
        reply = client.request(method, url, data, **options)
        self._remember(url)
        return Shown(reply, redactor)

    def _downloaded(self, call: Call) -> Downloaded:
        from agentnb.core.format import size
        from agentnb.magics.progress import Progress

        url = self._url(call)
        with Progress(f"getting {call.options['to']}", size) as progress:

            def show(done: int, total: int | None) -> None:
                progress(done, total or done)

            found = self._client(url).download(
                url, call.options["to"], on_progress=show, **self._options(call)
            )
        self._remember(url)
        return found

    def _remember(self, url: str) -> None:
        if url not in self._called:
            self._called.append(url)

    def _url(self, call: Call) -> str:
        from agentnb.core.api.address import shown

        url = call.arguments[0]
        if not isinstance(url, str):
            raise UsageError(
                f"the URL must be text, got {type(url).__name__}",
                service="api",
                hint="%api get https://HOST/PATH",
            )
        # What is bound stands in no saved notebook.
        if call.words[0].kind != "bind" and shown(url) != url.partition("#")[0]:
            raise saved("the URL")
        return url

    def _client(self, url: str) -> APIClient:
        from agentnb.core.api.address import origin_of, shown
        from agentnb.core.table import text_of

        apis = self.hub.apis
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url):
            return apis.serving(url) or self.hub.api(origin_of(url))
        if not url.startswith("/"):
            # Taken for a path, it would go to the host of another call, with its credentials.
            raise UsageError(
                f"{text_of(shown(url))} is neither a URL nor a path",
                service="api",
                hint=f"write https://{text_of(shown(url))} for a host; a path begins with /",
            )
        known = apis.all()
        if len(known) == 1:
            return known[0]
        found = "no API has been called yet" if not known else f"{len(known)} clients are known"
        raise UsageError(
            f"{url} is a path, and {found}",
            service="api",
            hint="give the whole URL: %api get https://HOST/PATH",
        )

    def _options(self, call: Call) -> dict[str, Any]:
        given = call.options
        options: dict[str, Any] = {
            name: given[name]
            for name in ("params", "headers", "timeout", "retries", "form", "idle")
            if name in given
        }
        if "file" in given:
            options["files"] = {name: self._file(path) for name, path in given["file"].items()}
        if "auth" in given:
            options["auth"] = self.hub.variable(given["auth"])
        if "schema" in given:
            options["schema"] = self._schema(given["schema"])
        if "text" in given:
            options["expect"] = "text"
        if "follow" in given:
            options["follow_redirects"] = True
        return options

    def _file(self, path: str) -> tuple[str, bytes]:
        """Return the name and the content of a file of the workspace."""
        return path.rpartition("/")[2], self.hub.files.read_file(path, encoding=None)

    def _schema(self, name: Any) -> Any:
        if not isinstance(name, str):
            return name
        names = self.extension.shell.user_ns
        if name not in names:
            raise NotFoundError(
                f"there is no class {name!r} for --schema",
                service="api",
                hint=did_you_mean(name, self.live("schema"), "classes of this notebook"),
            )
        return names[name]
