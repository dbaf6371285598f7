"""``agentnb doctor``: what works here, what is missing, and the line that mends it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Print the findings; return 0 if nothing has failed, 1 if something has."""
    import agentnb

    # Not `connect`: settings that cannot be read are a finding like any other.
    with agentnb.Hub() as hub:
        found = hub.doctor(start=options.start, timeout=options.timeout)
    print(json.dumps(found.to_dict()) if options.json else found)
    return 0 if found.ok else 1
