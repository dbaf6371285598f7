"""Packages that are not installed with the core, and the line that installs them."""

from __future__ import annotations

from importlib.util import find_spec

from agentnb.core.errors import ConfigError

__all__ = ["LAB", "PANELS", "require"]

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
        verb = "is" if len(missing) == 1 else "are"
        raise ConfigError(
            f"{needs} needs {' and '.join(missing)}, which {verb} not installed here",
            service=service,
            hint=f"{pip} install {' '.join(missing)}",
        )
