"""The story of the agents in JupyterLab: the panel moves while workers come and go."""

from __future__ import annotations

from agentnb.core.tutorials import copy_tutorials

from .test_start import STORY, check_it_ran_whole

GRAPH = 'svg[role="group"][aria-label^="Workflow new-app: "]'  # it says how many are in which state

KEEP = """panel => {
  window.seen = [];
  const look = () => {
    const said = panel.querySelector('svg[role="group"]')?.ariaLabel;
    if (said && said !== window.seen.at(-1)) window.seen.push(said);
  };
  new MutationObserver(look).observe(panel, {childList: true, subtree: true, attributes: true});
  look();
}"""


def code_cell(lab, start):
    """Return the number of the first cell that begins so."""
    return lab.page.evaluate(
        "start => jupyterapp.shell.currentWidget.content.widgets"
        ".findIndex(cell => cell.model.sharedModel.source.startsWith(start))",
        start,
    )


def test_the_story_runs_to_its_end_and_the_panel_moves_with_it(lab):
    copy_tutorials(lab.root)
    lab.open(f"{STORY}.ipynb")
    panel = lab.output(code_cell(lab, "%workflow panel"))
    lab.command("notebook:clear-all-cell-outputs")  # what was saved is not what is tested
    lab.command("notebook:run-all-cells", wait=False)
    panel.locator(GRAPH).wait_for()
    # The graph may be drawn anew meanwhile.
    panel.locator(GRAPH).evaluate("graph => graph.scrollIntoView({block: 'center'})")
    panel.evaluate(KEEP)
    panel.locator(f'{GRAPH}[aria-label*=" active, "]').wait_for()
    lab.screenshot("agents_active")
    panel.locator(f'{GRAPH}[aria-label$=": 8 completed"]').wait_for()
    seen = [said.partition(": ")[2] for said in lab.page.evaluate("window.seen")]
    # Each of these was drawn while the cells ran that brought them about, in this order.
    first = next(number for number, said in enumerate(seen) if " blocked" in said)
    last = seen.index("8 completed")
    assert any(" active, " in said for said in seen[first:last]), seen
    told = lab.output(code_cell(lab, "tell(summary"))
    told.get_by_text('started again: ["code", "tests", "docs"]').wait_for()
    lab.wait_idle()
    lab.screenshot("agents", dark=True)
    check_it_ran_whole(lab)
