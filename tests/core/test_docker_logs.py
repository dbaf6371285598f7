"""Logs as text, without an engine."""

from __future__ import annotations

import copy
import json
import pickle
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.docker.logs import LogLine, Logs

texts = st.text(st.characters(exclude_characters="\n"), max_size=20)
lines = st.lists(st.builds(LogLine, st.sampled_from(["stdout", "stderr"]), texts), max_size=8)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(lines, st.booleans(), st.integers(-30, 30), st.integers(-30, 30))
def test_logs_behave_as_their_text_and_loop_over_their_lines(found, truncated, start, end):
    logs = Logs(found, truncated=truncated)
    text = "".join(f"{line.text}\n" for line in found)
    assert (logs == text, hash(logs) == hash(text)) == (True, True)
    assert type(str(logs)) is str
    assert (str(logs), f"{logs}", "" + logs, logs[start:end]) == (text, text, text, text[start:end])
    assert all(line.text in logs for line in found)
    assert all(text[at : at + 3] in logs for at in range(0, len(text), 3))
    assert "\x00nowhere" not in logs
    assert json.loads(json.dumps({"log": logs})) == {"log": text}
    assert json.loads(json.dumps([logs], indent=1)) == [text]
    assert logs.splitlines() == text.splitlines()
    assert re.findall(r"(?m)^.", logs) == re.findall(r"(?m)^.", text)
    assert (list(logs), len(logs), bool(logs)) == (found, len(found), bool(found))
    assert list(reversed(logs)) == found[::-1]
    assert logs.stdout + logs.stderr == "".join(
        f"{line.text}\n" for kind in ("stdout", "stderr") for line in found if line.stream == kind
    )
    for same in (pickle.loads(pickle.dumps(logs)), copy.deepcopy(logs)):
        assert (same, same.lines, same.truncated) == (logs, logs.lines, truncated)
        assert type(same) is Logs


def test_logs_are_shown_as_lines_with_what_is_missing():
    logs = Logs([LogLine("stdout", f"line {n}") for n in range(300)], truncated=True)
    assert repr(logs).splitlines()[:2] == ["… the last 200 of 300 lines", "line 100"]
    assert repr(Logs([])) == "nothing was printed"
    assert repr(Logs([LogLine("stderr", "x")], truncated=True)) == "… there was more before\nx"
    assert type(logs.matching("LINE 29")) is Logs
    assert len(logs.matching("LINE 29")) == 11


def test_a_line_behaves_as_its_text():
    line = LogLine("stderr", "it is up")
    assert (str(line), f"{line}", "is up" in line, "down" in line) == (
        "it is up",
        "it is up",
        True,
        False,
    )
    assert tuple(line) == ("stderr", "it is up")
    assert 1 not in line


def test_the_end_of_a_log_has_as_many_lines_as_were_asked_for():
    logs = Logs([LogLine("stdout", "one"), LogLine("stdout", "two")])
    assert [logs.end(count) for count in (0, 1, 2, 9)] == ["", "two", "one\ntwo", "one\ntwo"]
