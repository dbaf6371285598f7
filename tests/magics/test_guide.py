"""The guide and the README: short, complete, and every example is understood."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

from agentnb.cli.parser import parse

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "notebooks" / "guide"
PAGES = sorted(GUIDE.glob("*.md"))
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
VALUES = re.compile(r":([A-Za-z_]\w*)")


def reference():
    """Return the script that writes the page of all verbs."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "notebooks" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = reference()
GRAMMARS = REFERENCE.grammars()


def blocks(language):
    """Return the code blocks of a language in the README and the guide."""
    return list(_blocks(language))


def _blocks(language):
    for path in (ROOT / "README.md", *PAGES):
        for found in BLOCK.finditer(path.read_text()):
            if found["language"] == language:
                yield pytest.param(found["text"], id=f"{path.stem}-{found.start()}")


def lines_of(text):
    """Yield the lines of magics, without the assignment before."""
    for line in text.splitlines():
        if found := re.match(r"(?:\w+ = )?%%?(\w+)\b ?(.*)", line):
            yield found[1], found[2]


def first_line_only(grammar):
    """Return whether a grammar is that of a cell's first line, in which no verb is written."""
    known = REFERENCE.verbs(grammar)
    return len(known) == 1 and known[0].cell


def understood(noun, line):
    """Parse a line by the first grammar of the noun that takes it; else raise the first error."""
    errors = []
    for grammar in (each for each in GRAMMARS if each.noun == noun):
        try:
            namespace = dict.fromkeys(VALUES.findall(line), "x")
            verb = f"{REFERENCE.verbs(grammar)[0].name} " if first_line_only(grammar) else ""
            call = grammar.parse(f"{verb}{line}", namespace)
        except Exception as error:  # noqa: BLE001 - the next grammar may take it
            errors.append(error)
        else:
            return call
    raise errors[0]


def test_the_readme_has_at_most_300_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 300


def test_the_index_has_every_page():
    text = (GUIDE / "index.md").read_text()
    assert [path.name for path in PAGES if f"({path.name})" not in text] == ["index.md"]


@pytest.mark.parametrize("text", blocks("python"))
def test_an_example_is_python_with_lines_that_the_magics_understand(text):
    for noun, line in lines_of(text):
        if noun not in ("load_ext", "time"):
            understood(noun, line)
    if not text.startswith("%%"):
        code = re.sub(r"^(\w+ = )?%.*$", "pass", text, flags=re.MULTILINE)
        compile(code, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("text", blocks("bash"))
def test_a_command_of_an_example_is_understood(text):
    for line in text.splitlines():
        for found in re.finditer(r"(?:^|&& |/)agentnb ([^&#>]*)", line):
            parse(found[1].split())


def examples_of_tutorials():
    """Return what the tutorials run, and the blocks of Python in their text."""
    sources = []
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            found = BLOCK.finditer(cell.source)
            texts = [block["text"] for block in found if block["language"] == "python"]
            sources.append(cell.source if cell.cell_type == "code" else "\n".join(texts))
    return "\n".join(sources)


def test_every_verb_is_in_a_tutorial():
    used = [(noun, line.split()) for noun, line in lines_of(examples_of_tutorials())]
    for grammar in GRAMMARS:
        for verb in REFERENCE.verbs(grammar):
            if any(noun == grammar.noun and verb.name in words[:3] for noun, words in used):
                continue
            assert first_line_only(grammar), f"%{grammar.noun} {verb.name} is in no tutorial"


def test_the_tutorials_text_has_lines_that_the_magics_understand():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for block in BLOCK.finditer(cell.source) if cell.cell_type == "markdown" else ():
                for noun, line in lines_of(block["text"]):
                    understood(noun, line)


def test_the_reference_is_that_of_the_grammars():
    assert REFERENCE.PAGE.read_text(encoding="utf-8") == REFERENCE.page(), (
        "run python notebooks/reference.py"
    )


def test_the_reference_has_every_verb_and_option():
    parts = re.split(r"^## `%+(\w+)`$", REFERENCE.page(), flags=re.MULTILINE)
    for grammar in GRAMMARS:
        text = "".join(parts[at + 1] for at in range(1, len(parts), 2) if parts[at] == grammar.noun)
        for verb in REFERENCE.verbs(grammar):
            assert first_line_only(grammar) or f"| `{REFERENCE.cell(verb.usage)}` |" in text
            assert all(f"| `{REFERENCE.cell(one.usage)}` |" in text for one in verb.options)
