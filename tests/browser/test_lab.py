"""A notebook with a widget works in JupyterLab: the ground the panels stand on."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect


def test_a_notebook_is_opened_run_and_shown(lab, monkeypatch, tmp_path):
    name = lab.write(
        "tiny.ipynb",
        "1 + 1",
        "import ipywidgets\nslider = ipywidgets.IntSlider(7)\nslider",
        "print('x' * 3)",
    )
    lab.open(name)
    assert lab.run_all()
    assert lab.cell_output_text(0) == "2"
    assert lab.cell_output_text(2) == "xxx"
    lab.output(1).locator(".widget-readout").wait_for()
    assert lab.cell_output_text(1) == "7"
    lab.execute("slider.value = 9")
    lab.wait_for("() => document.querySelector('.widget-readout').textContent === '9'")
    monkeypatch.setenv("AGENTNB_SCREENSHOTS", str(tmp_path))
    lab.screenshot("tiny")
    assert (tmp_path / "tiny.png").stat().st_size > 10_000


def test_a_failing_cell_is_told_from_one_that_works_and_keys_are_shortcuts(lab):
    lab.open(lab.write("failing.ipynb", "1 / 0", "2"))
    assert not lab.run_all()
    assert "ZeroDivisionError" in lab.cell_output_text(0)
    assert lab.add_cell("40 + 2") == 2
    assert lab.cell_output_text(2) == "42"
    assert lab.execute("print(6 * 7)") == "42\n"
    # Else it says nothing that keys which are pressed in a panel are none.
    lab.cell(2).locator(".jp-InputPrompt").click()
    lab.page.keyboard.press("b")
    expect(lab.page.locator(".jp-Notebook .jp-Cell")).to_have_count(4)


def test_the_dark_theme_is_dark(lab):
    lab.open(lab.write("dark.ipynb", "1"))
    lab.set_theme("JupyterLab Dark")
    colour = "() => getComputedStyle(document.body).getPropertyValue('--jp-layout-color0').trim()"
    assert lab.page.evaluate(colour) in {"#111", "#111111", "black", "rgb(17, 17, 17)"}


def test_the_next_test_finds_the_page_without_notebooks_kernels_or_theme(lab, lab_server, page):
    lab.open(lab.write("left.ipynb", "1"))
    lab.add_cell("'not saved'")
    lab.set_theme("JupyterLab Dark")
    lab.leave()
    assert page.locator(".jp-NotebookPanel, .jp-Dialog").count() == 0
    assert page.evaluate("() => document.body.dataset.jpThemeName") == "JupyterLab Light"
    assert lab_server.ask("GET", "/api/sessions") == []
    lab.open(lab.write("left.ipynb", "'written again'"))
    assert lab.run_all()
    assert lab.cell_output_text(0) == "'written again'"


def test_a_notebook_that_is_shown_again_has_nothing_of_the_test_before(lab):
    look = "import os\nglobals().get('x'), os.environ.get('LEFT'), os.getcwd() == '/'"
    assert lab.show("kept.ipynb", look)
    process = "print(__import__('os').getpid())"
    kernel = lab.execute(process)
    lab.execute("x = 1; import os; os.environ['LEFT'] = 'here'; os.chdir('/')")
    lab.add_cell("'left'")
    lab.leave(keep=True)
    assert lab.show("kept.ipynb", look)
    assert lab.cell_output_text(0) == "(None, None, False)"
    expect(lab.page.locator(".jp-Notebook .jp-Cell")).to_have_count(1)
    assert lab.execute(process) == kernel  # or nothing was kept


def test_a_notebook_is_reopened_as_it_was_saved_without_a_kernel(lab, lab_server):
    name = lab.write("saved.ipynb", "print('kept')")
    lab.open(name)
    lab.run_all()
    lab.save()
    lab_server.shut_kernels()
    lab.open(name, kernel=False)
    assert lab.cell_output_text(0) == "kept"
    assert lab_server.ask("GET", "/api/sessions") == []


def test_a_request_that_leaves_the_server_is_noticed(lab):
    lab.open(lab.write("stray.ipynb", "1"))
    lab.page.evaluate("() => fetch('http://127.0.0.1:9/away').catch(() => null)")
    assert lab.strays == ["http://127.0.0.1:9/away"]
    lab.strays.clear()


def test_an_error_of_a_script_is_noticed(lab):
    lab.open(lab.write("broken.ipynb", "1"))
    with lab.page.expect_event("pageerror"):
        lab.page.evaluate("() => { setTimeout(() => { throw new Error('broken') }) }")
    assert len(lab.errors) == 1
    lab.errors.clear()


@pytest.mark.parametrize("name", ["with space.ipynb", "folder/unter ordner/ü.ipynb"])
def test_a_notebook_is_opened_whatever_its_name(lab, name):
    lab.open(lab.write(name, "'here'"))
    lab.run_all()
    assert lab.cell_output_text(0) == "'here'"
