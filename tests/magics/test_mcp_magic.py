"""%mcp with a real server in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agentnb.core.errors import NotFoundError, RejectedError, UsageError
from agentnb.core.format import colour

PEER = f"stdio: {sys.executable} {Path(__file__).parents[1] / 'core' / 'mcp_peer.py'}"


def test_tools_are_listed_and_called_and_changes_are_accepted(run, shell, shown):
    assert "%mcp tools SERVER" in shown("%mcp")
    tools = run(f'%mcp tools "{PEER}"')
    assert [row.tool for row in tools] == ["pay", "balance"]
    assert run('%mcp call pay {"n": 4}') == "pay 4"
    shell.user_ns["arguments"] = {"n": 5}
    assert run("%mcp call pay :arguments") == "pay 5"
    assert run("%mcp call balance") == "balance None"
    assert run('%mcp call pay {"way": "change"}') == "changed"
    with pytest.raises(RejectedError, match="another tool"):
        run("%mcp call pay")
    assert str(run("%mcp accept pay")) == "pay: accepted as it is now"
    assert run('%mcp call pay {"n": 6}') == "pay 6"
    assert colour("connected") in run("%mcp list")._repr_html_()
    [row] = run("%mcp list")
    assert (row.state, row.tools) == ("connected", 2)
    assert run(f'%mcp call pay {{"n": 7}} --server "{row.server}"') == "pay 7"
    assert str(run("%mcp close")) == f"{row.server}: closed"
    assert run("%mcp")[0].state == "not connected"
    assert colour("connected") not in run("%mcp")._repr_html_()


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("%mcp call pay", UsageError, "no server is chosen"),
        ("%mcp tools bank.py", UsageError, "a server is a command or a URL"),
        ("%mcp tools http://ada:secret1@localhost/mcp", UsageError, "would be saved"),
        ("%mcp tools --timeout 3", UsageError, "for a server that is named"),
        ("%mcp close nowhere", NotFoundError, "there is no server"),
        ('%mcp call pay "[1"', UsageError, "not JSON"),
        ("%mcp call pay [1]", UsageError, "must be a JSON object"),
    ],
)
def test_a_wrong_line_says_what_is_wrong(run, line, error, message):
    run("%agentnb reset")
    with pytest.raises(error, match=message):
        run(line)
