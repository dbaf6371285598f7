from __future__ import annotations

import json
import sys

import pytest

from agentnb.core.errors import ConfigError, NotFoundError, UsageError

PASSWORD = "hunter22"


def rows_of(table):
    return {row[0]: row for row in table.rows}


def test_the_bare_magic_says_what_is_open_and_how_it_is(run):
    assert "nothing has been opened yet" in repr(run("%agentnb"))
    run("%db select 1")
    found = run("%agentnb")
    assert [(row.service, row.kind, row.state) for row in found] == [("db default", "sqlite", "ok")]
    assert run("%agentnb status").column("service") == ["db default"]


def test_the_bare_magic_counts_calls_and_metrics_does_so_by_operation(run):
    run("%db select 1")
    [row] = run("%agentnb")
    assert row.calls >= 1
    assert row.errors == 0
    assert ("db", "query") in {row[:2] for row in run("%agentnb metrics").rows}


def test_errors_lists_the_last_ones(run):
    for name in ("nowhere", "void"):
        with pytest.raises(NotFoundError):
            run(f"%db select * from {name}")
    found = run("%agentnb errors -n 1")
    assert [(row.service, row.message) for row in found] == [("db", "query: no such table: void")]
    assert len(run("%agentnb errors")) == 2


SIDECAR = """\
opened = []
class Sidecar:
    def __init__(self, **options):
        self.options, self.closed = options, False
        opened.append(self)
    def __enter__(self):
        return self
    def __exit__(self, *_):
        pass
    def close(self):
        self.closed = True
"""


def test_the_panel_is_shown_beside_the_notebook_and_closed_with_its_tab(run, tmp_path, monkeypatch):
    (tmp_path / "sidecar.py").write_text(SIDECAR)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sidecar", raising=False)
    assert run("%agentnb panel --side") is None
    import sidecar

    [first] = sidecar.opened
    assert first.options == {"title": "agentnb", "anchor": "split-right"}
    run("%agentnb panel --side")
    assert [one.closed for one in sidecar.opened] == [True, False]
    run("%agentnb reset")
    assert [one.closed for one in sidecar.opened] == [True, True]


def test_without_sidecar_the_panel_is_in_the_output_with_what_to_do(shown, monkeypatch):
    from agentnb.magics import beside

    monkeypatch.setattr(beside, "find_spec", lambda _: None)
    out = shown("%agentnb panel --side")
    assert "pip install sidecar" in out
    assert "Create New View for Output" in out
    assert "Panel('agentnb'" in out


def test_status_says_what_is_wrong_and_goes_on(run):
    run("%db select 1")
    run("_ = hub.databases.connect('far', 'postgresql://nobody@127.0.0.1:1/none')")
    states = dict(
        zip(*(run("%agentnb").column(name) for name in ("service", "state")), strict=True)
    )
    assert states["db default"] == "ok"
    assert "Error" in states["db far"] or "Circuit" in states["db far"]


def test_config_has_every_setting_with_its_source_and_no_secret(run, project, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"postgresql://ada:{PASSWORD}@host/app")
    monkeypatch.setenv("GITHUB_TOKEN", "plain-looking-token")
    (project / ".env").write_text(f"AGENTNB_DB_ROWS=7\nREDIS_URL=redis://:a/{PASSWORD}@host/0\n")
    table = run("%agentnb config")
    shown = repr(table) + table._repr_html_() + str(table.dicts())
    assert PASSWORD not in shown
    assert "plain-looking-token" not in shown
    found = rows_of(table)
    assert all(variable in repr(table) for variable in found)
    assert found["DATABASE_URL"][1:3] == ("postgresql://ada:••••••@host/app", "environment")
    assert found["AGENTNB_DB_ROWS"][1:3] == ("7", str(project / ".env"))
    assert found["AGENTNB_WORKSPACE"][1:3] == ("workspace", "default")


def test_config_shows_a_misspelt_variable_with_the_nearest(run, monkeypatch):
    monkeypatch.setenv("AGENTNB_DB_TIMEOT", "5")
    row = rows_of(run("%agentnb config"))["AGENTNB_DB_TIMEOT"]
    assert row[2:] == ("environment", "did you mean AGENTNB_DB_TIMEOUT?")


def test_a_malformed_dotenv_is_told_until_it_is_mended(run, project):
    (project / ".env").write_text("GOOD=1\nthis is no assignment\n")
    for source in ("%db select 1", "%agentnb config", "hub.db"):
        with pytest.raises(ConfigError, match=r"\.env, line 2, is malformed"):
            run(source)
    (project / ".env").write_text("GOOD=1\n")
    assert run("%db select 1").scalar() == 1


def test_stop_closes_and_the_next_use_opens_again(run, shown):
    run("%db connect other sqlite:///o.db")
    run("%db create table t (a)")
    run("hub.db.query('select 1')")
    assert shown("%agentnb stop").strip() == "closed: databases"
    assert shown("%agentnb stop").strip() == "nothing was open"
    assert run("%db list")[0].state == "in use"
    assert run("%db -c other tables").column("name") == ["t"]


def test_reset_reads_the_settings_again_and_forgets_connections(run, project, shown):
    run("%db connect other sqlite:///o.db")
    (project / ".env").write_text("AGENTNB_DB_ROWS=7\n")
    assert "reset" in shown("%agentnb reset")
    assert run("hub.settings.db_rows") == 7
    assert run("%db list").column("name") == ["default"]


def test_reset_brings_a_hub_back_that_was_closed_or_lost(run):
    run("hub.close()")
    with pytest.raises(UsageError, match="this hub is closed") as caught:
        run("%db select 1")
    assert "%agentnb reset" in caught.value.hint
    run("%agentnb reset")
    assert run("%db select 1").scalar() == 1
    run("del hub")
    run("%agentnb reset")
    assert run("hub.db.query('select 2')").scalar() == 2


def test_debug_shows_the_whole_traceback_and_no_secret(run, shown):
    short = shown("%db select :nope")
    assert "Traceback" not in short
    assert "hint:" in short
    shown("%agentnb debug on")
    run("url = 'postgresql://ada:hunter22@host/app'")
    whole = shown("%db select :nope")
    assert "Traceback" in whole
    assert "lookup" in whole
    secret = f"raise __import__('agentnb').UsageError('x', service='x')  # redis://:{PASSWORD}@host"
    assert PASSWORD not in shown(secret)
    shown("%agentnb debug off")
    assert "Traceback" not in shown("%db select :nope")


def test_debug_gives_the_users_own_handler_back(shell, shown):
    seen = []
    shell.set_custom_exc((KeyError,), lambda _shell, kind, *_, **__: seen.append(kind))
    shown("%agentnb debug on")
    shown("%agentnb debug on")
    shown("%agentnb debug off")
    shown("{}['x']")
    assert seen == [KeyError]


def test_debug_is_on_or_off(run):
    with pytest.raises(UsageError, match="debug must be on or off, got 'maybe'"):
        run("%agentnb debug maybe")


def test_check_finds_a_secret_in_a_saved_output_and_masks_it(run, project):
    cell = {
        "cell_type": "code",
        "source": "x",
        "metadata": {},
        "execution_count": 1,
        "outputs": [
            {"output_type": "stream", "name": "stdout", "text": f"redis://:{PASSWORD}@host"}
        ],
    }
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (project / "a b.ipynb").write_text(json.dumps(notebook))
    found = run("%agentnb check 'a b.ipynb'")
    assert len(found) == 1
    assert PASSWORD not in repr(found) + found._repr_html_()
    with pytest.raises(NotFoundError):
        run("%agentnb check none.ipynb")


def test_a_misspelt_verb_is_told_with_the_nearest(run):
    with pytest.raises(UsageError) as caught:
        run("%agentnb confg")
    assert caught.value.hint == "did you mean config?"


def test_help_prints(shown):
    for source in ("%agentnb help", "%agentnb --help", "%agentnb config --help"):
        assert "--quiet" in shown(source)
    assert "debug on|off" in shown("%agentnb help debug")


def test_doctor_shows_what_works_and_starts_nothing_unless_it_is_told_to(run, project):
    (project / ".env").write_text(
        f"AGENTNB_DB_TIMEOT=5\nREDIS_URL=redis://:{PASSWORD}@127.0.0.1:1\n"
    )
    found = run("%agentnb doctor --timeout 30")
    rows = {row.part: row for row in found}
    assert rows["redis"].state == "failed"
    assert rows["database"].detail.endswith("made on the first use")
    assert "<code>did you mean AGENTNB_DB_TIMEOUT?</code>" in found._repr_html_()
    assert PASSWORD not in repr(found) + found._repr_html_()
    assert not (project / ".agentnb" / "agentnb.db").exists()
    started = {row.part: row for row in run("%agentnb doctor --start --timeout 30")}
    assert started["database"].detail.endswith(str(project / ".agentnb" / "agentnb.db"))
    with pytest.raises(UsageError, match="timeout must be"):
        run("%agentnb doctor --timeout 0")
