"""The files panel over a real folder; what the browser adds is tested there."""

from __future__ import annotations

import threading

import pytest

import agentnb
from agentnb.core.errors import NotFoundError, PathEscape
from agentnb.panels.files import FilesPanel
from tests.waiting import until

PANEL = FilesPanel


@pytest.fixture
def hub(tmp_path):
    with agentnb.connect(home=tmp_path / "home", workspace=tmp_path / "ws") as hub:
        yield hub


def lines(view):
    return [cells for _, cells in view.tree.state()["rows"]]


def names(view):
    return [str(node).strip() for node in view.tree.shown()]


def pick(view, name):
    node = next(node for node in view.tree.shown() if node.path == name)
    view.tree.select(node)
    view.tree.on_select(node)
    until(lambda: f"<strong>{name}</strong>" in view.about.value)


def test_an_empty_workspace_says_what_to_type(view):
    bundle, _ = view().panel._repr_mimebundle_()
    assert "%%files write PATH" in bundle["text/plain"]


def test_the_tree_is_unfolded_folder_by_folder(hub, view):
    hub.files.write_file("src/core/a.py", "x" * 1500)
    hub.files.write_file("src/b.py", "")
    hub.files.write_file("README.md", "")
    it = view()
    assert names(it) == ["▸ src", "README.md"]
    pick(it, "src")
    until(lambda: names(it) == ["▾ src", "▸ core", "b.py", "README.md"])
    pick(it, "src/core")
    until(lambda: len(it.tree) == 5)
    assert [line[1] for line in lines(it)] == ["", "", "1.5 kB", "0 B", "0 B"]
    assert it.tree.selected.path == "src/core"
    pick(it, "src")
    until(lambda: names(it) == ["▸ src", "README.md"])
    assert "2 files · 1.5 kB" in it.about.value


def test_a_picked_file_shows_its_beginning(hub, view):
    hub.files.write_file("a.txt", "<b>é</b>\nsecond\n")
    hub.files.write_file("long.txt", "ab" * 1_000_000)
    hub.files.write_file("raw", bytes(range(256)) * 10)
    hub.files.write_file("empty", "")
    it = view()
    pick(it, "a.txt")
    assert "2 lines · 17 B" in it.about.value
    assert "&lt;b&gt;é&lt;/b&gt;" in it.text.widget.value
    pick(it, "long.txt")
    assert "the first 20,000 characters" in it.about.value
    assert len(it.text.widget.value) < 21_000
    pick(it, "raw")
    assert "not text" in it.about.value
    assert "00 01 02" in it.text.widget.value
    pick(it, "empty")
    assert it.text.widget.value == ""


def test_a_picture_is_shown_and_gives_way_to_a_text(hub, view):
    hub.files.write_file("p.png", b"\x89PNG" + bytes(10))
    hub.files.write_file("t", "text")
    it = view()
    pick(it, "p.png")
    assert it.picture.value == b"\x89PNG" + bytes(10)
    until(lambda: it.picture.layout.display is None)
    pick(it, "t")
    until(lambda: it.picture.layout.display == "none")


def test_what_is_no_file_says_so(hub, view):
    (hub.files.list(), hub.files.root.joinpath("out").symlink_to("/etc/passwd"))
    it = view()
    assert names(it) == ["out (link)"]
    pick(it, "out")
    assert "leads out of the workspace" in it.about.value
    assert it.panel.state == "live"


def test_changes_appear_by_themselves(hub, view):
    it = view()
    hub.files.write_file("new/a", "1")
    until(lambda: "▸ new" in names(it))
    until(lambda: len(it.changes) >= 2)
    assert {(row[1], row[2]) for _, row in it.changes.state()["rows"]} == {
        ("created", "new"),
        ("created", "new/a"),
    }
    assert "1 file · 1 B of 10 GB" in it.usage.value
    hub.files.write_file("new/a", "x" * 2000)
    until(lambda: "2.0 kB" in it.usage.value)
    assert next(iter(it.changes.state()["rows"]))[1][1] == "modified"


def test_the_room_is_drawn_largest_first_and_small_ones_together(hub, view):
    for number in range(9):
        hub.files.write_file(f"f{number}", "x" * 100 * (number + 1))
    html = view().usage.value
    assert html.index("f8") < html.index("f7") < html.index("3 others")
    assert "width:100.0%" in html


def test_what_is_selected_is_removed_after_it_was_confirmed(hub, view):
    hub.files.write_file("src/a", "1")
    hub.files.write_file("src/b", "1")
    it = view()
    assert it.remove.first.disabled
    pick(it, "src")
    until(lambda: not it.remove.first.disabled)
    it.remove.first.click()
    assert it.remove.second.description == "Remove src and 2 files in it"
    assert hub.files.exists("src")
    it.remove.second.click()
    assert not hub.files.exists("src")
    assert it.panel._bar.widget.message["text"] == "src: removed"
    until(lambda: "gone" in it.about.value and it.remove.first.disabled)


def test_the_panel_of_a_folder_shows_that_alone(hub, view):
    hub.files.write_file("src/a/b", "1")
    hub.files.write_file("other", "1")
    it = view(path="src")
    assert names(it) == ["▸ a"]
    pick(it, "src/a")
    until(lambda: names(it) == ["▾ a", "b"])
    for path, error in (("nowhere", NotFoundError), ("..", PathEscape)):
        with pytest.raises(error):
            FilesPanel(hub, path=path)


def test_closing_ends_the_watch(view):
    it = view()
    until(lambda: it._watcher is not None)
    it.panel.close()
    assert it._watcher.closed
    assert not [t for t in threading.enumerate() if t.name == "agentnb-files-watch"]


def test_a_saved_copy_reads_well(hub, view):
    hub.files.write_file("src/a.py", "x" * 1500)
    bundle, _ = view().panel._repr_mimebundle_()
    assert "▸ src" in bundle["text/plain"]
    assert "1 file · 1.5 kB of 10 GB\n" in bundle["text/plain"]
    assert "src  1.5 kB" in bundle["text/plain"].replace("\n", " ")
