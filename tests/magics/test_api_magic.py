"""%api and %%api on a real server."""

from __future__ import annotations

import json

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import NotFoundError, UnavailableError, UsageError

SECRET = "hunter22hunter22"


def says(status=200, value=None, **options):
    return lambda handler: handler.say(status, value, **options)


def sent(web):
    return json.loads(web.asked[-1][3])


def header(web, name):
    return {key.lower(): value for key, value in web.asked[-1][2].items()}.get(name)


def test_get_shows_json_and_gives_the_data(run, web):
    web.on("/x", says(200, {"name": "ada", "tags": ["a", "b"]}))
    found = run(f"%api get {web.url}/x")
    assert found["name"] == "ada"
    assert found == {"name": "ada", "tags": ["a", "b"]}
    assert repr(found) == '{"name": "ada", "tags": ["a", "b"]}'
    assert found.status == 200


def test_a_list_of_objects_is_a_table(run, web):
    rows = [{"id": n, "name": f"<b>{n}", "more": {"a": n}} for n in (1, 2)]
    web.on("/x", says(200, rows))
    found = run(f"%api get {web.url}/x")
    assert repr(found).splitlines() == [
        "id  name  more",
        ' 1  <b>1  {"a": 1}',
        ' 2  <b>2  {"a": 2}',
    ]
    assert "<b>" not in found._repr_html_()
    assert [row["id"] for row in found] == [1, 2]
    assert list(found.df()["name"]) == ["<b>1", "<b>2"]


def test_many_columns_and_lines_are_cut_and_say_so(run, web):
    web.on("/wide", says(200, [{f"c{n}": n for n in range(30)} | {"deep": [1]}]))
    web.on("/long", says(200, {f"key-{n}": "x" * 80 for n in range(200)}))
    assert "23 more columns: .data has all" in repr(run(f"%api get {web.url}/wide"))
    found = run(f"%api get {web.url}/long")
    assert len(repr(found).splitlines()) == 61
    assert "more lines: .data has all" in repr(found)
    assert len(found) == 200


def test_what_is_shown_holds_no_secret_and_the_data_does(run, web):
    web.on("/x", says(200, {"access_token": SECRET, "text": f"password={SECRET}\x1b[31m<i>"}))
    found = run(f"%api get {web.url}/x")
    assert found["access_token"] == SECRET
    for text in (repr(found), found._repr_html_()):
        assert SECRET not in text
        assert "\x1b" not in text
        assert "<i>" not in text or text is repr(found)
    web.on("/rows", says(200, [{"id": 1, "token": SECRET}]))
    assert SECRET not in repr(run(f"%api get {web.url}/rows"))


def test_a_reply_without_a_body_says_so(run, web):
    web.on("/x", says(204))
    found = run(f"%api delete {web.url}/x")
    assert repr(found) == "204 No Content, nothing in it"
    assert web.asked[-1][0] == "DELETE"


@pytest.mark.parametrize("verb", ["post", "put", "patch"])
def test_a_cell_is_sent_as_json_with_the_values_of_the_notebook(run, shell, web, verb):
    web.on("/x", says(201, {"id": 7}))
    shell.user_ns |= {"title": 'a "quoted" :title', "task": {"id": 3, "tags": ["x"]}}
    found = run(
        f'%%api {verb} {web.url}/x\n{{"title": :title, "at": "12:30 :title",\n'
        ' "tags": [:task.tags, ":task"], "n"::task.id, "ok": true}'
    )
    assert found["id"] == 7
    assert web.asked[-1][0] == verb.upper()
    assert sent(web) == {
        "title": 'a "quoted" :title',
        "at": "12:30 :title",
        "tags": [["x"], ":task"],
        "n": 3,
        "ok": True,
    }


def test_a_model_of_the_notebook_is_sent_and_a_reply_of_models_is_a_table(run, shell, web):
    import datetime as dt

    import pydantic

    class Order(pydantic.BaseModel):
        id: int
        due: dt.date = dt.date(2026, 1, 2)

    shell.user_ns.update(order=Order(id=7), Orders=list[Order])
    web.on("/x", lambda handler: handler.say(200, [{"id": 7}, {"id": 8}]))
    shown = run(f'%%api post {web.url}/x --schema Orders\n{{"order": :order}}')
    assert web.asked[-1][3] == b'{"order":{"id":7,"due":"2026-01-02"}}'
    assert shown.data == [Order(id=7), Order(id=8)]
    assert "2026-01-02" in repr(shown)


def test_data_may_stand_on_the_line(run, shell, web):
    web.on("/x", says(200, 1))
    shell.user_ns["data"] = {"n": 2}
    for text, value in (('{"n": 1}', {"n": 1}), (":data", {"n": 2}), ("7", 7), ('"7"', "7")):
        run(f"%api post {web.url}/x {text}")
        assert sent(web) == value
    run(f"%%api post {web.url}/x\n:data")
    assert sent(web) == {"n": 2}
    with pytest.raises(UsageError, match="on the line and in the cell"):
        run(f"%%api post {web.url}/x :data\n:data")


def test_a_cell_that_is_no_json_says_where_and_sends_nothing(run, web):
    with pytest.raises(UsageError, match=r"the data is no JSON: .*, in line 1: 007"):
        run(f"%api post {web.url}/x 007")
    with pytest.raises(UsageError, match="in line 2: 'a': 1") as caught:
        run(f"%%api post {web.url}/x\n{{\n'a': 1}}")
    assert ":title" in caught.value.hint
    with pytest.raises(UsageError, match="nothing is bound to :nobody"):
        run(f'%%api post {web.url}/x\n{{"a": :nobody}}')
    assert not web.asked


def test_options_reach_the_call(run, shell, web):
    web.on("/x", says(200, {"a": 1}))
    web.on("/from", says(302, None, Location="/x"))
    shell.user_ns["more"] = {"X-One": "1"}
    found = run(f'%api get {web.url}/from --params {{"page": 2}} --follow')
    assert found == {"a": 1}
    assert web.asked[0][1] == "/from?page=2"
    run(f"%api get {web.url}/x --headers :more")
    assert header(web, "x-one") == "1"
    assert repr(run(f"%api get {web.url}/x --text")) == '{"a": 1}'
    web.on("/bad", says(500))
    web.asked.clear()
    with pytest.raises(UnavailableError):
        run(f"%api get {web.url}/bad --retries 0 --timeout 5")
    assert len(web.asked) == 1


def test_a_schema_is_a_class_of_the_notebook(run, web):
    web.on("/x", says(200, {"name": "ada"}))
    run("from dataclasses import dataclass\n@dataclass\nclass User:\n    name: str")
    found = run(f"%api get {web.url}/x --schema User")
    assert found.data.name == "ada"
    assert repr(found) == '{"name": "ada"}'
    with pytest.raises(NotFoundError) as caught:
        run(f"%api get {web.url}/x --schema Usr")
    assert caught.value.hint == "did you mean User?"


def test_a_token_is_named_by_its_variable(shown, web, project):
    (project / ".env").write_text(f"EXAMPLE_TOKEN={SECRET}\n")
    web.on("/x", says(200, {"said": SECRET}))
    text = shown(f"%api get {web.url}/x --auth EXAMPLE_TOKEN")
    assert header(web, "authorization") == f"Bearer {SECRET}"
    assert SECRET not in text


@pytest.mark.parametrize(
    "path",
    [
        *("/x?api_key=hunter22", "/x?token=hunter22hunter22", "/x?page=1&sig=hunter22"),
        *('/x --headers {"X-Api-Key": "hunter22"}', '/x --params {"token": "hunter22"}'),
        '/x --headers {"Authorization": "Bearer hunter22"}',
    ],
)
def test_a_secret_on_the_line_is_refused(run, web, path):
    for url in (web.url + path, web.url.replace("//", "//ada:hunter22@") + "/x"):
        with pytest.raises(UsageError, match="holds a secret") as caught:
            run(f"%api get {url}")
        assert "hunter22" not in f"{caught.value} {caught.value.hint}"
    assert not web.asked


def test_a_path_is_of_the_one_api_in_use(run, shell, web):
    web.on("/v1/x", says(200, 1))
    with pytest.raises(UsageError, match="no API has been called yet"):
        run("%api get /x")
    shell.user_ns["hub"].api(f"{web.url}/v1", headers={"X-One": "1"})
    assert run("%api get /x") == 1
    # A whole URL below it is the same client's, with what it was told.
    assert run(f"%api get {web.url}/v1/x") == 1
    assert header(web, "x-one") == "1"


def test_a_bare_api_lists_the_clients_and_their_breakers(run, shell, web):
    assert "no API has been called yet" in repr(run("%api"))
    web.on("/x", says(500))
    client = shell.user_ns["hub"].api(web.url, retries=0)
    for _ in range(5):
        with pytest.raises(UnavailableError):
            client.get("/x")
    found = run("%api")
    assert found == run("%api list")
    row = found.dicts()[0]
    assert (row["client"], row["calls"], row["failed"]) == (web.url, 5, 5)
    assert row["last"] == "500 UnavailableError"
    assert row["breaker"].startswith("open, ")
    with pytest.raises(UnavailableError):
        run("%api get http://127.0.0.1:1/x --retries 0")
    assert "NULL" not in repr(run("%api list"))  # nobody has answered, so that it took no time


def test_an_error_is_a_message_and_a_hint(shown, web):
    web.on("/x", says(404, {"message": "no such user"}))
    text = shown(f"%api get {web.url}/x")
    assert "HTTPNotFound" in text
    assert "404 Not Found: no such user" in text
    assert "Traceback" not in text


def test_a_cell_without_a_verb_is_refused(run):
    with pytest.raises(UsageError):
        run('%%api\n{"a": 1}')


def completions(shell, text):
    with provisionalcompleter():
        return [one.text for one in shell.Completer.completions(text, len(text))]


def test_tab_completes_verbs_options_and_known_urls(run, shell, web):
    web.on("/users", says(200, 1))
    run(f"%api get {web.url}/users")
    assert "patch" in completions(shell, "%api pa")
    assert "--params" in completions(shell, "%api get x --pa")
    found = completions(shell, f"%api get {web.url[:-3]}")
    assert len(found) == 2
    assert any(one.endswith("/users") for one in found)
    shell.user_ns["payload"] = 1
    assert any(one.endswith("payload") for one in completions(shell, "%api post x :pay"))
