"""Packages that are not installed with the core, and the line that installs them."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["LAB", "PANELS", "need", "require"]

PANELS = ("ipywidgets", "anywidget")
"""Packages of the panels."""

LAB = ("jupyterlab", "ipykernel", *PANELS, "nbdime")
"""Packages of ``agentnb lab``: the extra ``lab``."""


def require(packages: tuple[str, ...], needs: str, *, service: str, pip: str = "%pip") -> None:
    """Refuse to go on where packages are not installed.

    Parameters
    ----------
    packages
        The names of the packages, by which they are imported, too.
    needs
        The part of agentnb that needs them: ``"a panel"``.
    service
        The service of the error.
    pip
        The command that installs: ``"%pip"`` in a notebook.

    Raises
    ------
    ConfigError
        One is missing; the hint is the line that installs it.

    Examples
    --------
    >>> try:
    ...     require(("json", "no_such_package"), "a panel", service="panel")
    ... except ConfigError as error:
    ...     print(error.message, error.hint, sep="; ")
    a panel needs no_such_package, which is not installed here; %pip install no_such_package
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        names = " and ".join([", ".join(missing[:-1]), missing[-1]][len(missing) == 1 :])
        verb = "is" if len(missing) == 1 else "are"
        raise ConfigError(
            f"{needs} needs {names}, which {verb} not installed here",
            service=service,
            hint=f"{pip} install {' '.join(missing)}",
        )


def need(module: str) -> ModuleType:
    """Import a module of an optional library.

    Raises
    ------
    UsageError
        The library is not installed; the hint is the line that installs it.

    Examples
    --------
    >>> need("json.decoder").__name__
    'json.decoder'
    >>> try:
    ...     need("no_such_package.frames")
    ... except UsageError as error:
    ...     print(error.message, error.hint, sep="; ")
    no_such_package is not installed here; %pip install no_such_package
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        if error.name and error.name.partition(".")[0] != package:
            raise
        raise UsageError(
            f"{package} is not installed here", service="frames", hint=f"%pip install {package}"
        ) from error
