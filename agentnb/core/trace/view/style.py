"""Colours of a waterfall, and the style sheet of what an untrusted notebook may do without."""

from __future__ import annotations

from typing import Final

from agentnb.core.trace.view.work_time import YOUR_CODE

__all__ = ["FAILED", "OTHER", "PILLS", "SERVICES", "STYLE"]

# Each has a contrast of 3 or more against both a white page and one of #111.
SERVICES: Final = {
    "db": "#3b7dd8",
    "api": "#c47a1c",
    "cache": "#c4528f",
    "redis": "#b0567a",
    "events": "#1f9a87",
    "queue": "#8a5cd6",
    "workflow": "#5b6ee0",
    "git": "#a07c2c",
    "docker": "#2a8fb8",
    "files": "#7d8a2e",
    "websocket": "#3f9a4c",
    YOUR_CODE: "#748092",
}
"""The colour of each service."""

OTHER: Final = "#748092"
"""The colour of everything else."""

FAILED: Final = "#dc4437"
"""The colour of a failure."""

# White text on each has a contrast of 4.5 or more.
PILLS: Final = ("#8a5a2b", "#2d66a8", "#1f7565", "#7353b3", "#a03a72", "#55637a")
"""The colours of processes, in the order in which they come."""

STYLE: Final = """<style>
.agentnb-trace{--dim:#5f6368;--line:#d5d8dd;--hover:#eef1f5;--bad:#c62828;--axis:#e3e6ea;
font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);
color:var(--jp-content-font-color1,inherit)}
[data-jp-theme-light="false"] .agentnb-trace,.vscode-dark .agentnb-trace{--dim:#a9afb8;
--line:#4a4f57;--hover:#2b3038;--bad:#ff6b60;--axis:#3a3f47}
.agentnb-trace summary{cursor:pointer;border-radius:3px;list-style:none}
.agentnb-trace summary::-webkit-details-marker{display:none}
.agentnb-trace summary:hover,.agentnb-trace details[open]>summary{background:var(--hover)}
.agentnb-trace summary:focus-visible{outline:2px solid var(--jp-brand-color1,#1976d2);
outline-offset:-2px}
.agentnb-trace .d,.agentnb-trace .t{color:var(--dim)}
.agentnb-trace .t{font-variant-numeric:tabular-nums}
.agentnb-trace .m{font-family:var(--jp-code-font-family,monospace);font-size:12px}
.agentnb-trace .x{color:var(--bad);font-weight:600}
.agentnb-trace .b{background:var(--hover)}
.agentnb-trace .g{background:var(--axis)}
.agentnb-trace .l{border-color:var(--line)}
</style>"""
"""Themes, hovering and the focus; layout and the colours of bars are inline."""
