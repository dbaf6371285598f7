"""The git panel over a real repository; what the browser adds is tested there."""

from __future__ import annotations

import subprocess
import threading

import pytest

import agentnb
from agentnb.panels.git import GitPanel
from tests.waiting import refresh, until

PANEL = GitPanel


@pytest.fixture
def hub(tmp_path, monkeypatch):
    (tmp_path / "repository").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    with agentnb.connect(home=tmp_path / "home", workspace=tmp_path / "ws") as hub:
        yield hub


@pytest.fixture
def git(hub):
    git = hub.git
    git.initialize()
    (git.path / "a.py").write_text("a = 1\n")
    git.add_files()
    git.commit("first")
    return git


def refreshed(view):
    view._looked.reset()
    refresh(view.panel)
    return view


def pick(view, path):
    view.files.select(path)
    view.files.on_select(path)
    until(lambda: path in view.diff.widget.value)


def message(view):
    return view.panel._bar.widget.message


def test_no_repository_says_what_to_type_and_one_that_comes_is_seen(hub, view):
    it = view()
    assert "%git init" in it.panel._repr_mimebundle_()[0]["text/plain"]
    hub.git.initialize()
    (hub.git.path / "x").write_text("x")
    assert refreshed(it).files.shown() == ["x"]


def test_changes_are_listed_by_file(git, view):
    (git.path / "a.py").write_text("a = 2\n")
    git.add_files()
    (git.path / "a.py").write_text("a = 3\n")
    (git.path / "new").mkdir()
    (git.path / "new" / "b.py").write_text("b\n")
    it = view()
    cells = [list(cells) for _, cells in it.files.state()["rows"]]
    assert cells == [["a.py", "modified", "modified"], ["new/b.py", "", "untracked"]]
    pick(it, "a.py")
    assert it.diff.widget.value.count("<details") == 2  # staged, and not staged
    assert not it.stage.disabled
    assert not it.unstage.disabled
    pick(it, "new/b.py")
    assert "new" in it.diff.widget.value
    assert it.unstage.disabled


def test_the_files_have_the_whole_width_until_one_is_picked(git, view):
    (git.path / "a.py").write_text("a = 2\n")
    it = view()
    assert it.beside.layout.display == "none"
    assert it.pick.layout.display is None
    pick(it, "a.py")
    until(lambda: it.beside.layout.display is None)
    until(lambda: it.pick.layout.display == "none")
    it.files.on_select("a.py")
    until(lambda: it.beside.layout.display == "none")
    assert it.files.selected is None
    (git.path / "a.py").write_text("a = 1\n")
    until(lambda: len(refreshed(it).files) == 0)
    assert it.pick.layout.display == "none"


def test_the_key_in_the_message_commits(git, view):
    (git.path / "a.py").write_text("a = 2\n")
    git.add_files()
    it = view()
    content = {"do": "submit", "box": "agentnb-submit-0", "text": "by its key"}
    it.panel._bar._received(None, content, None)
    until(lambda: git.log()[0].subject == "by its key")


def test_a_file_is_staged_unstaged_and_committed(git, view):
    (git.path / "a.py").write_text("a = 2\n")
    (git.path / "b.py").write_text("b\n")
    it = view()
    pick(it, "b.py")
    it.stage.click()
    until(lambda: git.status().staged == ["b.py"])
    refreshed(it)
    it.unstage.click()
    assert git.status().staged == []
    it.commit.click()
    until(lambda: "needs a message" in message(it)["text"])
    refreshed(it)
    it.stage.click()
    it.message.value = "by hand"
    it.commit.click()
    assert git.log()[0].subject == "by hand"
    assert git.status().changed == ["a.py"]
    assert it.message.value == ""
    it.stage_all.click()
    assert git.status().staged == ["a.py"]
    it.unstage_all.click()
    assert git.status().staged == []


def test_what_the_panel_itself_sets_switches_no_branch(git, view, choose):
    git.create_branch("topic", switch=False)
    it = view()
    assert set(it.branches.options) == {"main", "topic"}
    git.switch("topic")
    refreshed(it)
    assert it.branches.value == "topic"
    assert git.current_branch() == "topic"
    choose(it.branches, "main")
    until(lambda: git.current_branch() == "main")


def test_a_new_branch_is_shown_before_it_is_said(git, view, monkeypatch, choose):
    it = view()
    shown = []
    say = it.panel._bar.say

    def watched(text, **how):
        shown.append((text, it.branches.value))
        say(text, **how)

    monkeypatch.setattr(it.panel._bar, "say", watched)
    it.new_branch.value = "topic"
    assert ("on topic, which is new", "topic") in shown
    choose(it.branches, "main")
    assert git.current_branch() == "main"


@pytest.mark.usefixtures("git")
def test_a_look_that_began_before_a_branch_was_made_does_not_take_it_back(view, monkeypatch):
    it = view()
    begun, over, seen = threading.Event(), threading.Event(), []
    branches, show = it._git.branches, it.branches.show

    def slow():
        found = branches()
        if not begun.is_set():
            begun.set()
            over.wait(120)
        return found

    monkeypatch.setattr(it._git, "branches", slow)
    monkeypatch.setattr(it.branches, "show", lambda *what: (seen.append(what[1]), show(*what)))
    it._looked.reset()
    runs = it.panel._refresher.runs
    it.panel.refresh()
    assert begun.wait(120)
    it.new_branch.value = "topic"
    over.set()
    until(lambda: it.panel._refresher.runs >= runs + 2)
    assert set(seen) == {"topic"}
    assert it.branches.value == "topic"


def test_errors_are_told_and_change_nothing(git, view):
    it = view()
    it.push.click()
    until(lambda: "there is no remote" in message(it)["text"])
    it.new_branch.value = "a..b"
    until(lambda: "not the name of a branch" in message(it)["text"])
    assert git.current_branch() == "main"
    it.new_branch.value = "topic"
    until(lambda: git.current_branch() == "topic")


def test_a_panel_stays_with_its_repository(git, view, tmp_path, monkeypatch):
    it = view()
    monkeypatch.chdir(tmp_path)
    (git.path / "late").write_text("x")
    assert refreshed(it).files.shown() == ["late"]


def test_a_repository_of_the_workspace_is_shown(hub, view):
    hub.repo("app").initialize()
    (hub.repo("app").path / "x").write_text("x")
    assert view(repo="app").files.shown() == ["x"]


def test_the_graph_is_drawn(git, view):
    assert "<svg" in view().graph.widget.value
    assert git.log()[0].sha[:8] in view().graph.widget.value


@pytest.fixture
def conflict(git):
    """Leave it in the middle of a merge of two files."""
    git.create_branch("topic")
    for branch in ("topic", "main"):
        git.switch(branch)
        (git.path / "a.py").write_text(f"a = '{branch}'\n")
        (git.path / "b.py").write_text(f"b = '{branch}'\n")
        git.add_files()
        git.commit(branch)
    git.merge("topic")
    return git


def test_a_merge_is_solved_and_continued(conflict, view):
    git = conflict
    (git.path / "own.txt").write_text("x")
    git.add_files(["own.txt"])
    it = view()
    assert it.commit.disabled
    assert it.merge.widget.layout.display is None
    assert "Merging · 2 files in conflict" in it.merge.text.value
    assert it.merge.proceed.disabled
    assert it.solve.ours.layout.display == "none"
    pick(it, "a.py")
    html = it.diff.widget.value
    assert html.index("ours: main") < html.index("theirs: topic")
    assert html.count("<mark") == 2
    assert it.solve.ours.layout.display is it.solve.theirs.layout.display is None
    assert it.solve.discard.widget.layout.display == "none"
    it.stage.click()
    until(lambda: "markers are left in a.py" in message(it)["text"])
    it.solve.theirs.click()
    until(lambda: "a.py: theirs taken and staged" in message(it)["text"])
    assert (git.path / "a.py").read_text() == "a = 'topic'\n"
    pick(refreshed(it), "b.py")
    it.solve.ours.click()
    until(lambda: git.status().conflicts == [])
    refreshed(it)
    assert "no file is in conflict" in it.merge.text.value
    it.merge.proceed.click()
    until(lambda: git.status().doing == "")
    assert git.show().message == "Merge branch 'topic'"
    assert len(git.show().parents) == 2
    assert (git.path / "b.py").read_text() == "b = 'main'\n"
    assert refreshed(it).merge.widget.layout.display == "none"


def test_a_merge_is_given_up_after_a_question(conflict, view):
    git, it = conflict, view()
    it.merge.abort.first.click()
    assert git.status().doing == "merge"
    assert it.merge.abort.second.description == "Go back to before the merge"
    it.merge.abort.second.click()
    until(lambda: git.status().doing == "")
    assert git.status().clean
    assert (git.path / "a.py").read_text() == "a = 'main'\n"


def test_changes_are_discarded_after_a_question(git, view):
    (git.path / "a.py").write_text("a = 2\n")
    (git.path / "new.py").write_text("new\n")
    it = view()
    assert it.solve.discard.first.disabled
    pick(it, "new.py")
    until(lambda: it.solve.discard.first.disabled)
    pick(it, "a.py")
    until(lambda: not it.solve.discard.first.disabled)
    it.solve.discard.first.click()
    assert it.solve.discard.second.description == "Discard the changes of a.py"
    assert (git.path / "a.py").read_text() == "a = 2\n"
    it.solve.discard.second.click()
    until(lambda: (git.path / "a.py").read_text() == "a = 1\n")
    assert refreshed(it).files.shown() == ["new.py"]
    assert (git.path / "new.py").read_text() == "new\n"


def test_a_rebase_that_waits_says_how_to_end_it(conflict, view):
    git = conflict
    git.merge_abort()
    subprocess.run(["git", "rebase", "-q", "topic"], cwd=git.path, check=False, capture_output=True)
    it = view()
    assert "In the middle of a rebase · 2 files in conflict" in it.merge.text.value
    assert "git rebase --continue" in it.merge.text.value
    assert it.merge.proceed.layout.display == "none"
    assert it.merge.abort.first.description == "Abort rebase"
    it.merge.abort.first.click()
    assert it.merge.abort.second.description == "Go back to before the rebase"
    it.merge.abort.second.click()
    until(lambda: git.status().doing == "")
    assert git.current_branch() == "main"


def test_staging_everything_names_the_repositories_that_it_leaves_out(git, view):
    subprocess.run(["git", "init", "-q", git.path / "nested"], check=True)
    (git.path / "a.py").write_text("a = 2\n")
    it = view()
    it.stage_all.click()
    until(lambda: "left out, a repository of its own: nested" in message(it)["text"])
    assert git.status().staged == ["a.py"]
    it.files.select("nested/")
    it.files.on_select("nested/")
    it.stage.click()
    until(lambda: "nested is a repository of its own" in message(it)["text"])
