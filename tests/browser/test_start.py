from __future__ import annotations

from agentnb.core.tutorials import copy_tutorials


def test_the_first_tutorial_runs_from_top_to_bottom(lab):
    copy_tutorials(lab.root)
    lab.open("00_start.ipynb")
    lab.run_all()  # False: one cell shows an error on purpose
    lab.screenshot("00_start")
    lab.page.locator(".agentnb-panel").first.wait_for()
    lab.page.locator(".agentnb-panel").scroll_into_view_if_needed()
    lab.page.wait_for_timeout(1500)
    lab.screenshot("00_start_panel")
    lab.set_theme("JupyterLab Dark")
    lab.page.wait_for_timeout(500)
    lab.screenshot("00_start_dark")
