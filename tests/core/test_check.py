"""Secrets are found in a notebook, and nothing else is."""

from __future__ import annotations

import base64
import json
import subprocess
import sys

import pytest

from agentnb.core.check import find_secrets, scan_notebook
from agentnb.core.errors import NotFoundError, UsageError

SECRET = "hunter22x"
GITHUB = "ghp_" + "a1B2" * 9


def notebook(path, *cells, metadata=None):
    content = {"cells": list(cells), "metadata": metadata or {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def code(source, *outputs, **metadata):
    return {
        "cell_type": "code",
        "source": source,
        "outputs": list(outputs),
        "metadata": metadata,
        "execution_count": 1,
    }


@pytest.mark.parametrize(
    "source",
    [
        f'password = "{SECRET}"',
        f'db = "postgresql://ada:{SECRET}@db/app"',
        f'db = "redis://:{SECRET}@cache/0"',
        f'os.environ["API_TOKEN"] = "{SECRET}"',
        f'connect({{"password": b"{SECRET}"}})',
        f'dsn = "host=db password={SECRET} user=ada"',
        f"dsn = \"dbname=app password='{SECRET}'\"",
        f'call(headers={{"Authorization": "Bearer {SECRET}"}})',
        f'key = "{GITHUB}"',
        f"# the password: {SECRET}",
        f"%env API_TOKEN={SECRET}",
        f"out = !curl -d token={SECRET} example.org",
        f"%%bash\nexport DB_PASSWORD={SECRET}",
        f'json.loads("{{\\"password\\": \\"{SECRET}\\"}}")',
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f'password: str = "{SECRET}"',
        f'user, password = "ada", "{SECRET}"',
        f'os.environ.setdefault("API_TOKEN", "{SECRET}")',
        f"!deploy --token {SECRET}",
    ],
)
def test_a_secret_in_a_source_is_found_and_not_repeated(tmp_path, source):
    (finding,) = scan_notebook(notebook(tmp_path / "n.ipynb", code("1"), code(source)))
    assert (finding.cell, finding.where) == (2, "source")
    assert SECRET not in str(finding)
    assert GITHUB not in str(finding)
    assert "••••••" in finding.excerpt


@pytest.mark.parametrize(
    "source",
    [
        "select(password=:pw)",
        'os.environ.setdefault("API_TOKEN", "<your token>")',
        "!deploy --token {TOKEN}",
        'token = os.environ["TOKEN"]',
        'GITHUB_TOKEN = os.getenv("GITHUB_TOKEN", "")',
        'pw = getpass.getpass("Password: ")',
        'password = "••••••"',
        'password = "****"',
        "token = ''",
        'token = "<your token>"',
        'token = "your-token-here"',
        'password = "changeme"',
        "def f(password: str, token: str | None = None, secret: bytes = b''): pass",
        'print("password:", x)\ny = "abc"',
        "api_key=settings.api_key",
        'url = f"postgresql://{user}:{pw}@host/db"',
        'headers = {"Authorization": f"Bearer {token}"}',
        '"password=%s" % pw',
        '!curl -H "Authorization: Bearer $TOKEN" example.org',
        "%db connect main --env DATABASE_URL",
        "%%db\nselect token from t where password = :pw",
        "# the token: this is how it is made",
        "max_tokens=500; tokens = 3",
        'token = data["token"]["x"]',
        "see = 'http://localhost:8888/lab?next=a@b'",
    ],
)
def test_what_only_looks_like_a_secret_is_left_alone(tmp_path, source):
    assert scan_notebook(notebook(tmp_path / "n.ipynb", code(source))) == []


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "stream", "name": "stdout", "text": ["a\n", f"password={SECRET}\n"]},
        {"output_type": "display_data", "data": {"text/plain": f"{{'password': '{SECRET}'}}"}},
        {"output_type": "display_data", "data": {"text/html": f"<b>password=&quot;{SECRET}&quot;"}},
        {"output_type": "display_data", "data": {"application/json": {"api_key": SECRET}}},
        {"output_type": "display_data", "data": {"application/vnd.x+json": [{"token": SECRET}]}},
        {"output_type": "error", "ename": "E", "evalue": f"postgresql://ada:{SECRET}@db"},
        {
            "output_type": "error",
            "ename": "E",
            "evalue": "",
            "traceback": ["a", f'\x1b[31mpassword\x1b[39m=\x1b[32m"{SECRET}"\x1b[0m'],
        },
    ],
)
def test_a_secret_in_an_output_is_found(tmp_path, output):
    (finding,) = scan_notebook(notebook(tmp_path / "n.ipynb", code("1", output)))
    assert (finding.cell, finding.where) == (1, "output")
    assert SECRET not in str(finding)


@pytest.mark.parametrize(
    "text",
    [
        "Enter password: \nfoo",
        "Token: this is a thing",
        "basic authentication is used",
        "password: required, at least eight characters",
        "f(password: str = None, token=None)",
        "secret=Secret(••••••)",
        "DATABASE_URL  postgresql://ada:••••••@db/app",
    ],
)
def test_an_output_that_speaks_of_secrets_holds_none(text):
    assert find_secrets(text) == []


def test_a_traceback_may_show_code_that_passes_a_password_on(tmp_path):
    error = {
        "output_type": "error",
        "ename": "OperationalError",
        "evalue": "no such user",
        "traceback": ["---> 1 connect(password=pw, token=token)"],
    }
    assert scan_notebook(notebook(tmp_path / "n.ipynb", code("connect()", error))) == []


def test_the_line_of_a_finding_is_the_line_of_its_source(tmp_path):
    lines = ["a = 1\n", "\n", f'password = "{SECRET}"\n', f'x = 1; token = "{SECRET}1"']
    found = scan_notebook(notebook(tmp_path / "n.ipynb", code(lines)))
    assert [finding.line for finding in found] == [3, 4]


def test_two_secrets_on_a_long_line_are_both_masked_in_both_excerpts():
    line = f'password="{SECRET}"; x = "{"-" * 42}"; token="{SECRET}2"'
    hits = find_secrets(line, code=True)
    assert len(hits) == 2
    assert not any(part in hit.excerpt for hit in hits for part in ("hunter", "22x"))


def test_known_secrets_are_found_wherever_they_stand(tmp_path):
    path = notebook(tmp_path / "n.ipynb", code("correct horse", {"output_type": "stream"}))
    assert scan_notebook(path) == []
    (finding,) = scan_notebook(path, secrets=["horse", "", "c"])
    assert (finding.kind, finding.excerpt) == ("known secret", "correct ••••••")


def test_a_password_typed_into_a_widget_is_found_in_the_saved_state(tmp_path):
    state = {"m1": {"model_name": "PasswordModel", "state": {"value": SECRET}}}
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": state}}
    path = notebook(tmp_path / "n.ipynb", code("1"), metadata={"widgets": widgets})
    (finding,) = scan_notebook(path)
    assert (finding.cell, finding.where, finding.kind) == (0, "metadata", "password field")
    assert SECRET not in str(finding)


def test_parameters_in_a_cells_metadata_are_searched(tmp_path):
    path = notebook(tmp_path / "n.ipynb", code("1", papermill={"parameters": {"api_key": SECRET}}))
    assert [finding.where for finding in scan_notebook(path)] == ["metadata"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"\xff\xfe\x00",
        b"[]",
        b"{}",
        b'{"nbformat": 4}',
        b'{"nbformat": 4, "cells": 3}',
        b'{"nbformat": 4, "cells": [3]}',
        b'{"nbformat": 4, "cells": [{"source": 3}]}',
        b'{"nbformat": 4, "cells": [{"outputs": [3]}]}',
        b'{"nbformat": 4, "cells": [{"outputs": {"a": 3}}]}',
        b'{"nbformat": 3, "worksheets": []}',
        b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_notebook_is_a_short_error_with_a_hint(tmp_path, content):
    (tmp_path / "n.ipynb").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        scan_notebook(tmp_path / "n.ipynb")
    assert caught.value.hint


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(NotFoundError):
        scan_notebook(tmp_path / "n.ipynb")
    with pytest.raises(UsageError):
        scan_notebook(tmp_path)


def test_a_check_loads_nothing_heavy(tmp_path):
    path = notebook(tmp_path / "n.ipynb", code("1"))
    script = (
        "import sys; from agentnb.core.check import scan_notebook; scan_notebook(sys.argv[1]);"
        "print(sorted({'nbformat', 'jsonschema', 'IPython', 'sqlalchemy'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, str(path)]
    assert subprocess.check_output(command, text=True).strip() == "[]"


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": text}


def shown(mime, value):
    return {"output_type": "display_data", "data": {mime: value}}


HOOK = "https://hooks.slack.com/services/T0123456/B0123456/" + "aB3" * 8
ENCODED = base64.b64encode(f"the reply was {SECRET}".encode()).decode()
FROM_A_LIST = {
    "two outputs": code("1", stream(f"a {SECRET[:4]}"), stream(f"{SECRET[4:]} b")),
    "an error between two outputs": code(
        "1", stream(SECRET[:4]), stream("x", "stderr"), stream(SECRET[4:])
    ),
    "a tag": code("1", shown("text/html", f"<td>{SECRET[:4]}<wbr>{SECRET[4:]}</td>")),
    "an entity": code("1", shown("text/html", f"<b>{SECRET[:-1]}&#120;</b>")),
    "two strings": code(f'x = "{SECRET[:4]}" + "{SECRET[4:]}"'),
    "two strings side by side": code(f'x = ("{SECRET[:4]}"\n     "{SECRET[4:]}")'),
    "base64 in a source": code(f'x = "{ENCODED}"'),
    "base64 in an output": code("1", stream(ENCODED)),
    "an attachment": {
        "cell_type": "markdown",
        "source": "",
        "attachments": {"a.txt": {"text/plain": f"it is {SECRET}"}},
    },
    "an attached image": {
        "cell_type": "markdown",
        "source": "",
        "attachments": {
            "a.png": {"image/png": base64.b64encode(b"\x89PNG\xff" + SECRET.encode()).decode()}
        },
    },
    "a raw cell": {"cell_type": "raw", "source": f"it is {SECRET}"},
    "codes of a URL": code(f'u = "https://h/?q={"".join(f"%{ord(c):02x}" for c in SECRET)}"'),
    "metadata of an output": code(
        "1", {"output_type": "display_data", "data": {}, "metadata": {"a": SECRET}}
    ),
}


@pytest.mark.parametrize("name", FROM_A_LIST)
def test_a_known_secret_is_found_where_a_reader_sees_or_decodes_it(tmp_path, name):
    path = notebook(tmp_path / "n.ipynb", FROM_A_LIST[name])
    found = scan_notebook(path, secrets=[SECRET])
    assert found
    assert all("known secret" in finding.kind for finding in found)
    assert SECRET not in repr(found)
    assert scan_notebook(path, secrets=["something else"]) == []


@pytest.mark.parametrize(
    "source",
    [
        f'hook = "{HOOK}"',
        f'SECRET_KEY = "{SECRET}"',
        f'os.environ["STRIPE_KEY"] = "{SECRET}"',
        f'x = "DefaultEndpointsProtocol=https;AccountKey={SECRET}"',
        f"!curl -u ada:{SECRET} https://h",
        f'x = "https://h/?se=1&sig={SECRET}"',
        f'x = "https://h/?X-Amz-Signature={SECRET}"',
        f'h = {{"Authorization": "Token {SECRET}"}}',
        f'h = "{GITHUB[:12]}" "{GITHUB[12:]}"',
        f'h = "{base64.b64encode(GITHUB.encode()).decode()}"',
    ],
)
def test_secrets_of_other_shapes_are_found_in_a_source(tmp_path, source):
    (finding,) = scan_notebook(notebook(tmp_path / "n.ipynb", code(source)))
    assert SECRET not in repr(finding)


@pytest.mark.parametrize(
    "text",
    [
        *(
            'x = "' + " " * 2 * 10**5,
            '"' * 2 * 10**5,
            '"""' * 10**5,
            "{" * 2 * 10**5,
            "<" * 2 * 10**5,
        ),
        *('password="' + "\\" * 2 * 10**5, "password=" + "${" * 10**5, "curl -u a:" * 10**4),
        *("authorization: " * 10**4, "://a:" * 10**5, "a.b" * 10**5, "token=" + "(]" * 10**5),
        *("-----BEGIN A PRIVATE KEY-----" * 10**4, "eyJaaaaaaaa." * 10**5, "\x1b[1" * 10**5),
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_for_ever(tmp_path, text):
    # Each would take minutes, if time grew with the square of the length.
    scan_notebook(notebook(tmp_path / "n.ipynb", code(text, stream(text))))
