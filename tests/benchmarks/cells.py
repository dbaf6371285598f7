"""A cell under %%cache that is served, with a large array among its names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rounds import by_turns, compared, embedded, scratch

from agentnb.core.cache.outcome import CellOutcome

ROUNDS, CALLS = 21, 20
READ, LOADED, OURS, FIRST = "reading the file", "numpy.load", "agentnb", "first"


def measure(*, quick=False):
    """Return the rows."""
    with scratch(), embedded() as (hub, _):
        array = np.random.default_rng(1).random(1_500_000, dtype=np.float32)
        np.save("array.npy", array)
        path, cells = Path("array.npy"), hub.cache.cells
        source = cells.fingerprint("array = ...", {})
        cells.set("large", source, CellOutcome(None, {"array": array}), ttl=3600)

        def first():
            """Read the file as a process does that has not compared it yet."""
            hub.cache._codec._files._compared.clear()
            return cells.get("large", source)

        found = by_turns(
            {
                READ: path.read_bytes,
                LOADED: lambda: np.load("array.npy"),
                OURS: lambda: cells.get("large", source),
                FIRST: first,
            },
            rounds=3 if quick else ROUNDS,
            calls=CALLS,
        )
    of = "of `%%cache` with an array of 6 MB, CPU"
    return [
        compared(f"a hit {of}", found, OURS, READ, target=3, others=[LOADED]),
        compared(f"the first hit in a process {of}", found, FIRST, READ, target=3, others=[LOADED]),
    ]
