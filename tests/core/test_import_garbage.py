"""The garbage collector runs seldom while agentnb imports, for modules stay."""

from __future__ import annotations

import gc
import sys

import pytest

from agentnb.core.imports import protect_imports


@pytest.fixture(autouse=True)
def _threshold():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def import_as_agentnb(name):
    exec(f"import {name}", {"__name__": "agentnb.core.probe"})
    return sys.modules.pop(name)


def test_garbage_is_searched_seldom_while_agentnb_imports(tmp_path, monkeypatch):
    protect_imports()
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "probe_seldom.py").write_text("import gc\nseen = gc.get_threshold()")
    gc.set_threshold(700, 10, 10)
    assert import_as_agentnb("probe_seldom").seen == (20_000, 10, 10)
    assert gc.get_threshold() == (700, 10, 10)


def test_a_module_that_sets_the_garbage_collector_has_its_way(tmp_path, monkeypatch):
    protect_imports()
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "probe_sets.py").write_text("import gc\ngc.set_threshold(5_000, 3, 3)")
    import_as_agentnb("probe_sets")
    assert gc.get_threshold() == (5_000, 3, 3)


def test_a_search_that_is_off_or_rarer_stays_so(tmp_path, monkeypatch):
    protect_imports()
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "probe_off.py").write_text("import gc\nseen = gc.get_threshold()")
    for wanted in ((0, 10, 10), (50_000, 5, 5)):
        gc.set_threshold(*wanted)
        assert import_as_agentnb("probe_off").seen == wanted
        assert gc.get_threshold() == wanted
