"""What of this machine's files a container or a build may be given; no engine is needed."""

from __future__ import annotations

import pytest

from agentnb.core.docker.context import place_of
from agentnb.core.docker.copying import host_file
from agentnb.core.docker.roots import Roots
from agentnb.core.errors import OptionRefused


@pytest.fixture
def project(tmp_path):
    for path in ("app/main.py", ".env", ".git/config", ".agentnb/agentnb.db", "state/rows"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("A=1\n")
    (tmp_path / "app/link").symlink_to("../.env")
    (tmp_path / "app/state").symlink_to("../state")
    return tmp_path


@pytest.mark.parametrize(
    "path",
    [".env", ".git/config", ".agentnb/agentnb.db", "state/rows", "app/link", "app/state/rows"],
)
def test_what_is_hidden_is_given_to_no_container(project, path):
    roots = Roots([project], project / "state")
    with pytest.raises(OptionRefused, match=r"option 'files' is refused .* it is hidden"):
        host_file("files", project / path, roots)
    assert host_file("files", project / "app/main.py", roots)[0] == b"A=1\n"


@pytest.mark.parametrize("path", [".git", ".agentnb", "state", "app/state"])
def test_nothing_that_is_hidden_is_built(project, path):
    roots = Roots([project / "workspace", project], project / "state")
    with pytest.raises(OptionRefused, match=r"option 'context' is refused .* it is hidden"):
        place_of(project / path, roots, None)
    assert place_of(project / "app", roots, None) == project / "app"


def test_variables_may_be_read_from_the_settings_and_not_from_the_home(project):
    roots = Roots([project], project / "state")
    assert host_file("env_file", project / ".env", roots)[0] == b"A=1\n"
    for path in ("state/rows", ".git/config"):
        with pytest.raises(OptionRefused):
            host_file("env_file", project / path, roots)


def test_a_file_outside_of_the_roots_is_refused_and_none_are_anywhere(project):
    with pytest.raises(OptionRefused, match="it is outside of the project"):
        host_file("files", project / "app/main.py", Roots([project / "state"]))
    assert host_file("files", project / "app/main.py", Roots())[0] == b"A=1\n"
