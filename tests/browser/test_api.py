"""What ``%api`` shows, as a person sees it."""

from __future__ import annotations

BIG = {
    "total": 2,
    "rate": {"limit": 5000, "remaining": 4999, "reset": 1790000000},
    "items": [{"name": f"a <b>bold</b> name {n}", "topics": ["x", "y"], "n": n} for n in range(4)],
    "access_token": "hunter22hunter22",
}


def says(value, status=200):
    return lambda handler: handler.say(status, value)


def test_replies_are_read_as_tables_and_as_json_in_light_and_dark(lab, web):
    pulls = [{"number": n, "title": f"Change {n}", "state": "open"} for n in (3, 2, 1)]
    web.on("/pulls", says(pulls))
    web.on("/rate", says(BIG))
    web.on("/no", says({"message": "Validation Failed"}, 422))
    lab.write(
        "api.ipynb",
        "%load_ext agentnb",
        f"%api get {web.url}/pulls",
        "%api get /rate",
        '%%api post /no\n{"title": "x"}',
        "%api",
    )
    lab.open("api.ipynb")
    lab.run_all()
    lab.output(1).get_by_role("cell", name="Change 2").wait_for()
    shown = lab.cell_output_text(2)
    assert "a <b>bold</b> name 3" in shown
    assert "hunter22" not in shown
    assert "422 Unprocessable" in lab.cell_output_text(3)
    lab.run_cell(4)  # the one before it ended the run
    lab.output(4).get_by_role("cell", name="closed").wait_for()
    lab.screenshot("api", dark=True)
