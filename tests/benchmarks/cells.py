"""A cell under %%cache that is served, with a large array among its names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rounds import by_turns, compared, embedded, scratch

from agentnb.core.cache.outcome import CellOutcome

ROUNDS, CALLS = 21, 20
READ, LOADED, OURS = "reading the file", "numpy.load", "agentnb"


def measure(*, quick=False):
    """Return the row."""
    with scratch(), embedded() as (hub, _):
        array = np.random.default_rng(1).random(1_500_000, dtype=np.float32)
        np.save("array.npy", array)
        path, cells = Path("array.npy"), hub.cache.cells
        source = cells.fingerprint("array = ...", {})
        cells.set("large", source, CellOutcome(None, {"array": array}), ttl=3600)
        found = by_turns(
            {
                READ: path.read_bytes,
                LOADED: lambda: np.load("array.npy"),
                OURS: lambda: cells.get("large", source),
            },
            rounds=3 if quick else ROUNDS,
            calls=CALLS,
        )
    what = "a hit of `%%cache` with an array of 6 MB, CPU"
    return [compared(what, found, OURS, READ, target=3, others=[LOADED])]
