from __future__ import annotations

THOUSAND = """
jobs = [(i, f"task-{i}", "ready", i * 7 % 13, None, f"2026-01-01 10:00:{i % 60:02}")
        for i in range(1000)]
columns = ["id", "name", "state", "attempts", "error", "created"]
table = TableView(columns, key="id", label="Jobs")
panel = Panel("Queue").compose(table).keep_fresh(lambda: jobs, table.update)
panel
"""
VIEW = "application/vnd.jupyter.widget-view+json"


def fresh(lab):
    """Ask for a refresh; return the messages it took until the title bar says that it is done."""
    bar = lab.find(label="Queue")
    lab.traffic.clear()
    lab.run("panel.refresh()")
    lab.until(lambda: any(m["content"]["comm_id"] == bar for m in lab.traffic))
    return lab.traffic


def test_a_refresh_of_one_percent_of_a_thousand_rows_takes_under_two_kilobytes(lab):
    lab.run(THOUSAND)
    lab.run("for i in range(10): jobs[i] = (i, f'task-{i}', 'done', 1, None, jobs[i][5])")
    messages = fresh(lab)
    changed = [m for m in messages if "set" in m["content"]["data"].get("content", {})]
    assert len(changed[0]["content"]["data"]["content"]["set"]) == 10
    assert sum(lab.size(message) for message in messages) < 2_000


def test_a_refresh_that_changes_nothing_sends_no_rows(lab):
    lab.run(THOUSAND)
    grid = next(comm for comm, state in lab.comms.items() if "page" in state)
    assert grid not in {message["content"]["comm_id"] for message in fresh(lab)}


def test_a_new_view_gets_the_whole_page_as_it_is_now(lab):
    lab.run(THOUSAND)
    lab.run("table.filter('task-99'); table.sort('id', descending=True)")
    text, _ = lab.run("page = table.widget.get_state()['page']; print(page['rows'][0], page['v'])")
    assert "'999', 'task-999', 'ready'" in text
    assert text.strip().endswith("3")  # rows, filter, order


def test_a_panel_is_shown_as_a_view_and_as_a_table_that_needs_no_kernel(lab):
    _, [view, bundle] = lab.run(
        """
table = TableView(["id", "note"], key="id", label="Notes")
rows = [(1, "<img src=x onerror=alert(1)>"), (2, None)]
Panel("Notes").compose(table).keep_fresh(lambda: rows, table.update)
"""
    )
    assert set(view) == {VIEW, "text/plain"}
    assert set(bundle) == {"text/html", "text/plain"}
    assert "&lt;img src=x onerror=alert(1)&gt;" in bundle["text/html"]
    assert "<img" not in bundle["text/html"]
    assert " 2  NULL" in bundle["text/plain"]


def test_a_panel_is_displayed_although_its_service_does_not_answer(lab):
    _, [_, bundle] = lab.run(
        """
gate = threading.Event()
stuck = Panel("Slow").keep_fresh(gate.wait, lambda _: None)
stuck
"""
    )
    assert "loading" in bundle["text/plain"]
    lab.run("gate.set(); stuck.close()")


def test_closing_a_panel_closes_every_widget_it_made(lab):
    text, _ = lab.run(
        """
before = set(_instances)
registered = set(get_ipython().kernel.comm_manager.comms)
table = TableView(["id"], [(1,)])
panel = Panel("All", every=0.05).compose(
    row(button("Run", lambda: None), text_box(rows=3), choice(["a", "b"]), label("x")), table
).keep_fresh(lambda: [(1,)], table.update)
panel._repr_mimebundle_()
assert len(_instances) > len(before) + 10
panel.close(); panel.close()
assert set(_instances) == before, set(_instances) - before
assert set(get_ipython().kernel.comm_manager.comms) == registered
assert not [t for t in threading.enumerate() if t.name == "agentnb-panel-All"]
print(panel)
"""
    )
    assert text.strip() == "Panel('All', closed)"


def test_a_click_while_a_cell_runs_is_answered(lab):
    lab.run(
        """
clicked = threading.Event()
panel = Panel("Busy")
panel.compose(button("Stop", panel.action(clicked.set)))
panel
"""
    )
    button = lab.find(description="Stop")
    # A cell that ends well only if the click arrives while it waits for it; JupyterLab updates
    # the widget from within a cell first, which is what makes ipykernel hold clicks back.
    cell = lab.start("panel.root.children[1].tooltip = 'now'; print(clicked.wait(120))")
    lab.until(lambda: lab.comms[button].get("tooltip") == "now")
    lab.send(button, {"event": "click"}, subshell=lab.subshell())
    text, _ = lab.finish(cell)
    assert text.strip() == "True"


def test_the_buttons_of_the_title_bar_pause_resume_and_close(lab):
    lab.run("panel = Panel('Bar', every=60); panel")
    bar = lab.find(label="Bar")
    lab.until(lambda: lab.comms[bar]["status"].get("state") == "live")
    lab.send(bar, {"do": "pause"})
    lab.until(lambda: lab.comms[bar]["status"].get("state") == "paused")
    lab.send(bar, {"do": "pause"})
    lab.until(lambda: lab.comms[bar]["status"].get("state") == "live")
    lab.send(bar, {"do": "close"})
    lab.until(lambda: bar not in lab.comms)
    assert lab.run("print(panel.closed)")[0].strip() == "True"


def test_a_panel_rests_while_no_view_of_it_is_open_and_wakes_with_fresh_content(lab):
    lab.run(
        """
loads = []
panel = Panel("Seen", every=0.02).keep_fresh(lambda: loads.append(1), lambda _: None)
panel
"""
    )
    bar = lab.find(label="Seen")
    lab.send(bar, {"do": "here", "view": "a"})
    lab.send(bar, {"do": "gone", "view": "a"})
    lab.run("import time; [time.sleep(0.01) for _ in range(999) if not panel._refresher.parked]")
    text, _ = lab.run(
        "time.sleep(0.1); n = len(loads); time.sleep(0.3); print(panel._refresher.parked, "
        "len(loads) - n)"
    )
    assert text.split() == ["True", "0"]
    lab.send(bar, {"do": "here", "view": "b"})
    lab.run("[time.sleep(0.01) for _ in range(999) if len(loads) < n + 2]")
    assert lab.run("print(len(loads) >= n + 2)")[0].strip() == "True"
    lab.run("panel.close()")


def test_a_row_that_is_clicked_is_selected_and_reported_by_its_key(lab):
    lab.run(
        """
picked = []
table = TableView(["id", "name"], [("a1", "x"), ("b2", "y")], key="id", on_select=picked.append)
table.widget
"""
    )
    grid = next(comm for comm, state in lab.comms.items() if "page" in state)
    row = lab.comms[grid]["page"]["rows"][1][0]
    lab.send(grid, {"do": "select", "row": row})
    lab.send(grid, {"do": "select", "row": 999})
    lab.send(grid, {"do": "select", "row": {"not": "hashable"}})
    assert lab.run("print(picked, table.selected)")[0].strip() == "['b2'] b2"


def test_the_filter_the_order_and_the_page_are_set_from_the_page(lab):
    lab.run(THOUSAND)
    grid = next(comm for comm, state in lab.comms.items() if "page" in state)
    lab.send(grid, {"do": "filter", "text": "name:task-9"})
    lab.send(grid, {"do": "sort", "column": "attempts"})
    lab.send(grid, {"do": "sort", "column": "attempts"})
    lab.send(grid, {"do": "page", "page": 1})
    lab.run("panel.refresh()")
    text, _ = lab.run("print(table.state()['meta'])")
    assert "'filter': 'name:task-9'" in text
    assert "'sort': ['attempts', True]" in text
    assert "'page': 1, 'pages': 3" in text
    assert "'shown': 111" in text


def test_running_a_cell_again_closes_the_panels_it_made_before(lab):
    cell = """
shell = get_ipython()
registry = globals().get("registry") or PanelRegistry()
made = [registry.open("db", lambda: Panel("Again"), cell_id=cell_id(shell), run_id=run_id(shell))
        for _ in range(2)]
print(cell_id(shell), len(registry))
"""
    first, _ = lab.run(cell + "first = made", metadata={"cellId": "cell-1"})
    second, _ = lab.run(cell, metadata={"cellId": "cell-1"})
    other, _ = lab.run(cell, metadata={"cellId": "cell-2"})
    assert [first, second, other] == ["cell-1 2\n", "cell-1 2\n", "cell-2 4\n"]
    assert lab.run("print([p.closed for p in first])")[0].strip() == "[True, True]"
    assert lab.run("registry.close_all(); print(len(_instances), len(registry))")[0] == "0 0\n"


def test_importing_the_panels_loads_no_widgets(lab):
    code = (
        "import subprocess, sys; print(subprocess.run([sys.executable, '-c', 'import sys; "
        "import agentnb.panels, agentnb.panels.base.registry, agentnb.panels.base.refresh; "
        'print([m for m in ("ipywidgets", "anywidget", "traitlets", "IPython") '
        "if m in sys.modules])'], capture_output=True, text=True).stdout)"
    )
    assert lab.run(code)[0].strip() == "[]"
