"""What `%load_ext agentnb` costs in a kernel that runs."""

from __future__ import annotations

import importlib.util
import statistics

from rounds import Row, kernel, scratch, spelt

CANDIDATES = {
    "agentnb": "get_ipython().run_line_magic('load_ext', 'agentnb')",
    "import sqlalchemy": "import sqlalchemy",
    "JupySQL": "get_ipython().run_line_magic('load_ext', 'sql')",
}
CELL = """
from time import process_time
_started = process_time()
{}
_spent = process_time() - _started
"""


def in_a_fresh_kernel(code):
    """Return the CPU seconds that a cell's code takes in a new kernel."""
    with kernel() as client:
        client.execute_interactive("1 + 1", output_hook=lambda _: None, timeout=60)
        reply = client.execute_interactive(
            CELL.format(code),
            user_expressions={"spent": "_spent"},
            output_hook=lambda _: None,
            timeout=60,
        )["content"]
        return float(reply["user_expressions"]["spent"]["data"]["text/plain"])


def measure(*, quick):
    """Return the rows of this subject."""
    candidates = dict(CANDIDATES)
    if importlib.util.find_spec("sql") is None:
        del candidates["JupySQL"]
    found = {name: [] for name in candidates}
    with scratch():
        for turn in range(3 if quick else 10):
            for name, code in candidates.items():
                spent = in_a_fresh_kernel(code)
                if turn:  # the first compiles
                    found[name].append(spent)
    ours = statistics.median(found["agentnb"])
    peers = [
        f"{name} {spelt(found[name])} ({statistics.median(found[name]) / ours:.0f}x)"
        for name in candidates
        if name != "agentnb"
    ]
    return [
        Row(
            "`%load_ext agentnb`, CPU in a fresh kernel",
            spelt(found["agentnb"]),
            " · ".join(peers),
            ours * 1000,
            statistics.median(found["import sqlalchemy"]) * 100,  # a tenth of it, in ms
            "ms",
        )
    ]
