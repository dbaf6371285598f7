"""Python, the packages of the core, the extras, the notebook's extensions and open files."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.doctor.diagnosis import FAILED, MISSING, OK, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agentnb.core.doctor.surroundings import Surroundings

__all__ = ["jupyter", "open_files", "packages", "python"]

DISTRIBUTION = "agentnb-toolkit"
_FEW_FILES = 1024
_COLLECTIONS = {"all", "test"}
_SHOWN = ("sqlalchemy", "redis", "httpx", "docker", "websockets")
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*(?P<range>[^;]*)(?:;(?P<marker>.*))?"
)
_EXTRA = re.compile(r"""extra\s*==\s*['"](?P<name>[^'"]+)['"]""")
_BOUND = re.compile(r"(?P<sign>>=|<=|==|!=|<|>)\s*(?P<version>[\d.]+)")
_MANAGER, _ANYWIDGET = "@jupyter-widgets/jupyterlab-manager", "anywidget"


class Requirement(NamedTuple):
    """A package that agentnb needs, or that one of its extras does."""

    name: str
    range: str
    extra: str
    on_windows: bool


def read_requirement(text: str) -> Requirement | None:
    """Return the requirement that a line of a distribution's metadata states.

    >>> read_requirement("redis[hiredis]<9,>=8")
    Requirement(name='redis', range='<9,>=8', extra='', on_windows=True)
    >>> read_requirement("pandas>=2.2; extra == 'frames'").extra
    'frames'
    """
    found = _REQUIREMENT.fullmatch(text.strip())
    if found is None:
        return None
    marker = found["marker"] or ""
    extra = _EXTRA.search(marker)
    return Requirement(
        found["name"].lower(),
        found["range"].strip(),
        extra["name"] if extra else "",
        "platform_system" not in marker,
    )


def is_within(version: str, bounds: str) -> bool:
    """Return whether a version is in a range.

    >>> is_within("8.1.5", "<9,>=8"), is_within("9.0", "<9,>=8"), is_within("2.1.0rc1", ">=2.1")
    (True, False, True)
    """
    here = _release(version)
    for found in _BOUND.finditer(bounds):
        other = _release(found["version"])
        size = max(len(here), len(other))
        one, two = (numbers + (0,) * (size - len(numbers)) for numbers in (here, other))
        holds = {
            ">=": one >= two,
            "<=": one <= two,
            "<": one < two,
            ">": one > two,
            "==": one == two,
            "!=": one != two,
        }
        if not holds[found["sign"]]:
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else (0,)


def version_of(name: str) -> str | None:
    """Return the version of an installed distribution, None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def python(_: Surroundings) -> Iterator[Finding]:
    """Yield the versions of Python and of agentnb."""
    number = ".".join(map(str, sys.version_info[:3]))
    own = version_of(DISTRIBUTION)
    beside = f", agentnb {own}" if own else ""
    yield Finding("python", OK, f"{number} at {sys.executable}{beside}")


def packages(here: Surroundings) -> Iterator[Finding]:
    """Yield the packages of the core, and one finding for each extra."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        mend = f"{here.pip} install . (in the folder of agentnb)"
        yield Finding("packages", WARNING, "agentnb runs without having been installed", mend)
        return
    yield from packages_of(lines, version_of, here.pip)


def packages_of(
    lines: Iterable[str], version: Callable[[str], str | None], pip: str
) -> Iterator[Finding]:
    """Yield the findings of the requirements in the metadata of a distribution.

    Parameters
    ----------
    lines
        The requirements, as ``importlib.metadata.requires`` returns them.
    version
        Returns the installed version of a package, None where there is none.
    pip
        The command that installs.
    """
    found = [one for one in map(read_requirement, lines) if one is not None]
    needed = [one for one in found if one.on_windows or sys.platform != "win32"]
    core = [one for one in needed if not one.extra]
    wrong = list(_wrong(core, version))
    for one, reason in wrong:
        yield Finding("packages", FAILED, reason, _install(pip, [one]))
    if not wrong:
        shown = ", ".join(f"{name} {version(name)}" for name in _SHOWN if version(name))
        yield Finding("packages", OK, f"{len(core)} of the core: {shown}, ...")
    for extra in sorted({one.extra for one in needed} - _COLLECTIONS - {""}):
        yield _of_extra(extra, [one for one in needed if one.extra == extra], version, pip)


def _wrong(
    needed: Iterable[Requirement], version: Callable[[str], str | None]
) -> Iterator[tuple[Requirement, str]]:
    for one in needed:
        here = version(one.name)
        if here is None:
            yield one, f"{one.name} is not installed"
        elif not is_within(here, one.range):
            yield one, f"{one.name} {here} is installed, {one.range} is needed"


def _of_extra(
    name: str, needed: list[Requirement], version: Callable[[str], str | None], pip: str
) -> Finding:
    part = f"extra {name}"
    wrong = list(_wrong(needed, version))
    if not wrong:
        return Finding(part, OK, ", ".join(f"{one.name} {version(one.name)}" for one in needed))
    absent = [one for one, _ in wrong if version(one.name) is None]
    state = MISSING if len(absent) == len(wrong) else WARNING
    return Finding(
        part,
        state,
        ", ".join(reason for _, reason in wrong)
        if state == WARNING
        else f"not installed: {', '.join(one.name for one in absent)}",
        _install(pip, [one for one, _ in wrong]),
    )


def _install(pip: str, needed: Iterable[Requirement]) -> str:
    """Return the line that installs packages; a range is quoted, since shells read < and >."""
    words = [f"'{one.name}{one.range.replace(' ', '')}'" for one in needed]
    return f"{pip} install {' '.join(words)}"


def open_files(_: Surroundings) -> Iterator[Finding]:
    """Yield the limit of open files of this process."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _FEW_FILES:
        limit = "no limit" if soft == resource.RLIM_INFINITY else f"{soft:,} may be open"
        yield Finding("open files", OK, limit)
        return
    most = _FEW_FILES if hard == resource.RLIM_INFINITY else min(hard, 4 * _FEW_FILES)
    found = f"{soft:,} may be open; workers with many connections need {_FEW_FILES:,}"
    mend = f"ulimit -n {most}" if most > soft else "raise nofile in /etc/security/limits.conf"
    yield Finding("open files", WARNING, found, mend)


def jupyter(here: Surroundings) -> Iterator[Finding]:
    """Yield the extensions of JupyterLab that the panels need."""
    if version_of("ipywidgets") is None:
        return  # the extra says so
    folders = [folder / "labextensions" for folder in jupyter_folders()]
    off = disabled_extensions(jupyter_folders())
    for name, package in ((_MANAGER, "jupyterlab-widgets"), (_ANYWIDGET, "anywidget")):
        yield _of_extension(name, package, folders, off, here.pip)


def _of_extension(name: str, package: str, folders: list[Path], off: set[str], pip: str) -> Finding:
    about = next((one for one in (folder / name for folder in folders) if one.is_dir()), None)
    installed = version_of(package)
    part = "jupyterlab"
    if about is None or installed is None:
        mend = f"{pip} install --force-reinstall {package}"
        return Finding(part, WARNING, f"no extension {name}: panels are shown as text", mend)
    if name in off:
        mend = f"jupyter labextension enable {name}"
        return Finding(part, WARNING, f"{name} is disabled: panels are shown as text", mend)
    shown = ""
    with suppress(OSError, ValueError, KeyError):
        shown = str(json.loads((about / "package.json").read_text(encoding="utf-8"))["version"])
    lab = version_of("jupyterlab")
    beside = f", JupyterLab {lab}" if lab else ""
    if package == name and shown and _release(shown)[:2] != _release(installed)[:2]:
        mend = f"{pip} install --force-reinstall {package}"
        found = f"{name} {shown} in {about.parent}, the package is {installed}"
        return Finding(part, WARNING, found, mend)
    return Finding(part, OK, f"{name} {shown}{beside}")


def jupyter_folders() -> list[Path]:
    """Return the folders in which Jupyter looks for its data, the nearest first."""
    try:
        from jupyter_core.paths import jupyter_path
    except ImportError:
        return [Path(sys.prefix, "share", "jupyter")]
    return [Path(folder) for folder in jupyter_path()]


def disabled_extensions(folders: Iterable[Path]) -> set[str]:
    """Return the extensions that a page_config.json switches off."""
    places = [Path(folder) for folder in os.environ.get("JUPYTER_CONFIG_PATH", "").split(":")]
    places += [Path(sys.prefix, "etc", "jupyter"), Path.home() / ".jupyter", *folders]
    found: set[str] = set()
    for folder in places:
        with suppress(OSError, ValueError, AttributeError):
            text = (folder / "labconfig" / "page_config.json").read_text(encoding="utf-8")
            listed = json.loads(text).get("disabledExtensions", {})
            found |= {name for name, is_off in dict(listed).items() if is_off}
    return found
