"""Programs are started so that no folder that others write to adds code to them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import agentnb
from agentnb.core.launch import absolute, python, search_paths

SOURCE = Path(agentnb.__file__).parent
# Where programs are started, and what is: `launch.python`, unless another one is named.
STARTERS = {
    "cli/commands.py": "execve of launch.python",
    "core/docker/buildkit.py": "the docker command",
    "core/docker/session.py": "Popen of launch.python",
    "core/git/executor.py": "git, through GitPython",
    "core/redis/binary.py": "run of the server's program, to ask its version",
    "core/redis/supervisor.py": "execv of the server's program",
    "core/redis/starting.py": "run of launch.python",
    "core/mcp/transport.py": "the server of tools that the user names",
    "core/doctor/programs.py": "git --version and the like",
    "core/work/executors/pipes.py": "the type of multiprocessing's context",
    "core/work/executors/starting.py": "multiprocessing, with PYTHONSAFEPATH",
}
STARTS = {
    "subprocess": {"Popen", "run", "call", "check_call", "check_output", "getoutput"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
    "os": {"system", "popen", "posix_spawn", "posix_spawnp"}
    | {f"{way}{how}" for way in ("exec", "spawn") for how in ("v", "ve", "vp", "vpe", "l", "le")},
}
OF_A_LOOP = {"subprocess_exec", "subprocess_shell"}  # which any variable may hold


def starts(tree):
    """Yield the names of calls by which a program starts, of GitPython's and of multiprocessing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("multiprocessing.context"):
            yield node.module
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            module = owner.id if isinstance(owner, ast.Name) else ""
            if node.func.attr in STARTS.get(module, set()) | OF_A_LOOP:
                yield node.func.attr
            if any(each.arg == "as_process" for each in node.keywords):
                yield "execute"


def modules(word=""):
    """Yield name and tree of each module in which a word is."""
    for file in SOURCE.rglob("*.py"):
        name = file.relative_to(SOURCE).as_posix()
        if not name.startswith("tutorials/"):  # the user's copies, which the wheel brings
            text = file.read_text(encoding="utf-8")
            if word in text:
                yield name, ast.parse(text)


def test_programs_are_started_in_these_modules_only():
    assert {name for name, tree in modules() if any(starts(tree))} == set(STARTERS)


def test_this_interpreter_is_started_through_one_function():
    """Elsewhere `sys.executable` is told, or asked for, and is no word of a command."""
    found = set()
    for name, tree in modules("executable"):
        for node in ast.walk(tree):
            words = node.elts if isinstance(node, (ast.List, ast.Tuple)) else ()
            for word in words:
                if ast.unparse(word) == "sys.executable":
                    found.add(name)
            if isinstance(node, ast.ImportFrom) and node.module == "sys":
                found |= {name for each in node.names if each.name == "executable"}
    assert found == {"core/launch.py"}


@pytest.mark.parametrize("isolated", [False, True])
def test_the_interpreter_imports_nothing_of_the_folder_that_it_runs_in(tmp_path, isolated):
    (tmp_path / "json.py").write_text("raise SystemExit('sprung')")
    (tmp_path / "script.py").write_text("import json; print(json.dumps(1))")
    for words in (["script.py"], ["-c", "import json; print(json.dumps(1))"], ["-m", "json", "-h"]):
        done = subprocess.run(
            python(*words, isolated=isolated),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "sprung" not in done.stderr


def test_search_paths_name_no_folder_by_where_a_program_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = ["", "lib", ".", "/usr/lib", ""]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(parts))
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", "", "bin"]))
    assert absolute("PYTHONPATH") == [str(tmp_path / "lib"), str(tmp_path), "/usr/lib"]
    found = search_paths()
    assert found["PATH"].split(os.pathsep) == ["/usr/bin", str(tmp_path / "bin")]
    assert found["PYTHONSAFEPATH"] == "1"
    monkeypatch.delenv("PYTHONPATH")
    assert "PYTHONPATH" not in search_paths()


def test_another_program_s_python_does_not_look_where_it_runs(tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('sprung')")
    done = subprocess.run(
        [sys.executable, "-c", "import json"],
        cwd=tmp_path,
        env={**os.environ, **search_paths()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_worker_process_imports_nothing_of_the_folder_that_it_runs_in(tmp_path):
    for name in ("json", "multiprocessing", "tempfile"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('sprung')")
    code = """
import os
from agentnb.core.work.executors.processes import Processes
if __name__ == "__main__":
    pool = Processes(1, settings={}, say=print)
    print(pool.submit(os.getenv, "PYTHONSAFEPATH").result(60), os.getenv("PYTHONSAFEPATH"))
    pool.shutdown()
"""
    (tmp_path / "elsewhere").mkdir()
    script = tmp_path / "elsewhere" / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout == "None None\n", done.stderr
