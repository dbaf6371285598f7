"""The tutorials as a newcomer meets them: in JupyterLab."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentnb.core.tutorials import copy_tutorials

TUTORIALS = sorted(path.stem for path in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
CELLS = """() => jupyterapp.shell.currentWidget.content.widgets
  .filter(cell => cell.model.type === 'code')
  .map(cell => [cell.model.executionCount, cell.model.sharedModel.getSource(),
    (cell.model.getMetadata('tags') ?? []).includes('raises-exception'),
    cell.model.outputs.toJSON().some(output => output.output_type === 'error')])"""


STORY = "10_agents"  # which runs in test_agents.py


@pytest.mark.parametrize("name", [name for name in TUTORIALS if name != STORY])
def test_a_tutorial_runs_whole_and_its_panel_has_something_to_show(lab, name, request):
    if name == "07_docker":
        request.getfixturevalue("docker_engine")
    copy_tutorials(lab.root)
    lab.open(f"{name}.ipynb")
    lab.run_all()  # returns at the first error, also where that is meant; the rest goes on
    check_it_ran_whole(lab)
    lab.screenshot(f"{name}_panel", dark=True)


def check_it_ran_whole(lab):
    """Check that each cell ran, failed only where that is meant, and that the panel is filled."""
    lab.wait_for(f"() => ({CELLS})().every(([count]) => count)")
    cells = lab.page.evaluate(CELLS)
    assert [count for count, *_ in cells] == list(range(1, len(cells) + 1))
    for _, source, expected, failed in cells:
        assert failed == expected, source
    panels = lab.page.locator(".agentnb-panel:has(.agentnb-table)")
    if any("panel" in source for _, source, *_ in cells):
        panels.first.get_by_role("gridcell").first.wait_for()
        panels.first.scroll_into_view_if_needed()
