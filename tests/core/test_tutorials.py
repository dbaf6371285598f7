"""Copying the tutorials overwrites nothing."""

from __future__ import annotations

from agentnb.core.settings import Settings
from agentnb.core.tutorials import copy_tutorials


def test_the_tutorials_guides_data_and_scripts_are_copied_into_a_root_of_their_own(tmp_path):
    copied = copy_tutorials(tmp_path / "a b" / "c")
    expected = {"data/agents.csv", "guide/values.md", "guide/security.md", "scripts/agents.py"}
    expected |= {"guide/architecture.md", "scripts/github.py", "scripts/service/app.py"}
    assert expected <= set(copied.new)
    assert (copied.folder / "data" / "agents.csv").read_text().startswith("id,agent,task,status")
    assert Settings.load(start=copied.folder / "data", environ={}).root == copied.folder.resolve()


def test_a_file_that_exists_is_kept_and_one_that_is_gone_comes_back(tmp_path):
    first = copy_tutorials(tmp_path)
    kept, gone = tmp_path / first.new[0], tmp_path / first.new[-1]
    kept.write_text("mine")
    gone.unlink()
    again = copy_tutorials(tmp_path)
    assert (again.new, kept.read_text()) == ([first.new[-1]], "mine")
    assert len(again.kept) == len(first.new) - 1


def test_a_link_that_leads_nowhere_is_kept_too(tmp_path):
    name = copy_tutorials(tmp_path / "x").new[0]
    target = tmp_path / "y" / name
    target.parent.mkdir(parents=True)
    target.symlink_to(tmp_path / "elsewhere")
    assert name in copy_tutorials(tmp_path / "y").kept
    assert not (tmp_path / "elsewhere").exists()
