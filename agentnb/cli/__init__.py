"""The command line, ``agentnb``: `agentnb.cli.parser` has its commands.

Exit codes: 0 all is well, 1 `check` found secrets, `health` a service that is not well or
`doctor` something that fails, 2 the call or a setting is wrong; and as the shell has them, 130 or
143 for a worker that was told twice to stop.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

from agentnb.cli.errors import print_error
from agentnb.cli.parser import parse
from agentnb.core.errors import AgentnbError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        The words after ``agentnb``; default: those of this process.

    Returns
    -------
    int
        The exit code.
    """
    try:
        options = parse(sys.argv[1:] if arguments is None else list(arguments))
        run: Callable[[argparse.Namespace], int] = options.run
        code = run(options)
        sys.stdout.flush()
        if arguments is None and not options.foreign:
            # Python looks for garbage several times as it ends, a sixth of the command's time. Only
            # code of the user's may have left files open that such a look has to close.
            gc.freeze()
    except AgentnbError as error:
        print_error(error)
        return 2
    except BrokenPipeError:
        # The reader of a pipe has gone: there is nobody to tell, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
