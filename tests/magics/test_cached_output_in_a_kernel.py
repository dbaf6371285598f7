"""The output of a cached cell in a kernel, shown again: in its order, and as it was."""

from __future__ import annotations

import re

import pytest

_WIDGET = "application/vnd.jupyter.widget-view+json"
ALL = """%%cache shown
import sys, logging, warnings, threading
from IPython.display import display, HTML, clear_output
import ipywidgets
print("lost")
clear_output()
print("printed")
print("warned", file=sys.stderr)
logging.getLogger("mine").warning("logged")
warnings.warn("careful", stacklevel=1)
display(HTML("<b>bold</b>"))
_handle = display("first", display_id=True)
_handle.update("last")
_thread = threading.Thread(target=print, args=("from a thread",))
_thread.start(); _thread.join()
get_ipython().system("echo from a child")
display(ipywidgets.IntSlider(3))
display({"text/plain": "bundle", "application/json": {"a": [1]}}, raw=True)
sum([40, 2])
"""


@pytest.fixture(scope="module", autouse=True)
def begun(kernel):
    """Let the home be made, which says a line about its folder."""
    kernel.run("hub.cache.keys()")


def steady(outputs):
    """Return outputs without addresses, folders and the live views of widgets."""
    found = []
    for kind, data in outputs:
        if isinstance(data, dict):
            data = {key: one for key, one in data.items() if key != _WIDGET}  # noqa: PLW2901
        found.append((kind, re.sub(r"0x[0-9a-f]+|/tmp/\S+|\r", "…", str(data))))
    return found


def by_stream(outputs):
    """Return outputs with the text between two displays by stream: a kernel sends both by turns."""
    found, texts = [], {"stdout": "", "stderr": ""}
    for kind, data in [*outputs, ("end", "")]:
        if kind in texts:
            texts[kind] += data
        else:
            found += [dict(texts), (kind, data)]
            texts = dict.fromkeys(texts, "")
    return found


def test_a_hit_shows_all_that_the_run_showed_in_its_order(kernel):
    first, again = (steady(kernel.outputs(ALL)) for _ in range(2))
    assert by_stream(again) == by_stream(first)
    assert [kind for kind, _ in again] == [
        "stdout",
        "stderr",
        "display_data",
        "display_data",
        "stdout",
        "display_data",
        "display_data",
        "execute_result",
    ]
    texts = [text for _, text in again]
    assert texts[0] == "printed\n"
    assert all(word in texts[1] for word in ("warned", "logged", "careful"))
    assert "<b>bold</b>" in texts[2]
    assert texts[3] == "{'text/plain': \"'last'\"}"
    assert texts[4].startswith("from a thread\nfrom a child")
    assert "IntSlider" in texts[5]
    assert "'application/json': {'a': [1]}" in texts[6]
    assert kernel.run("hub.cache.get('shown')") == ("42", "")


def test_of_a_loop_that_clears_its_output_the_last_round_is_shown(kernel):
    source = """%%cache rounds
from IPython.display import clear_output
for _n in range(3):
    clear_output(wait=True)
    print("round", _n)
clear_output(wait=True)
"""
    for _ in range(2):
        assert kernel.outputs(source) == [("stdout", "round 2\n")]


def test_a_line_says_from_when_an_outcome_is_where_a_person_reads_it(kernel):
    source = "%%cache noted --ttl 600\nprint('once')\n7"
    kernel.outputs(source, cell="a")
    (kind, note), *rest = kernel.outputs(source, cell="a")
    assert kind == "display_data"
    assert re.fullmatch(
        r"%%cache noted: from \d\d:\d\d \((just now|\d+ s ago)\), took [\d.]+ m?s, cell \[\d+\]; "
        r"runs again in \d+ min, or by --rerun",
        note["text/plain"],
    )
    assert note["text/plain"] in note["text/html"]
    assert [kind for kind, _ in rest] == ["stdout", "execute_result"]
    assert [kind for kind, _ in kernel.outputs(source)] == ["stdout", "execute_result"]
    quiet = source.replace("600", "600 --quiet")
    assert [kind for kind, _ in kernel.outputs(quiet, cell="a")] == ["stdout"]


def test_a_hostile_key_is_text_in_that_line(kernel):
    source = "%%cache '<img src=x onerror=alert(1)>'\n7"
    kernel.outputs(source, cell="a")
    note = kernel.outputs(source, cell="a")[0][1]
    assert "&lt;img" in note["text/html"]
    assert "<img" not in note["text/html"]


def test_output_of_50_mb_is_shown_and_cut_where_it_is_kept(kernel):
    source = """%%cache large
import sys
for _ in range(50):
    _ = sys.stdout.write("x" * 999_999 + "\\n")
print("the end")
"""
    assert len("".join(text for _, text in kernel.outputs(source))) == 50_000_008
    again = kernel.outputs(source)
    assert [kind for kind, _ in again] == ["stdout", "stderr"]
    assert len(again[0][1]) == 2_000_000
    assert again[1][1].strip() == "… 48 MB of output not kept"


def test_an_open_figure_is_shown_again_and_its_names_say_that_they_are_not_kept(kernel):
    kernel.run(FIGURES)
    source = "%%cache drawn\nprint('above')\nfig, axes = draw()\naxes[0]"
    first = kernel.outputs(source)
    assert [kind for kind, _ in first] == ["stdout", "display_data", "stderr", "execute_result"]
    assert "axes, fig are not kept; of the displayed Axes only what it shows is kept" in first[2][1]
    assert kernel.run("fig.n")[0] == "1"
    again = kernel.outputs(source)
    assert [kind for kind, _ in again] == ["stdout", "display_data", "display_data"]
    assert again[1][1]["image/png"] == first[1][1]["image/png"]
    assert again[2][1] == first[3][1]
    assert kernel.run("fig.n")[0] == "1"  # this kernel still has them
    kernel.run("del fig, axes")
    kernel.outputs(source)
    _, raised = kernel.run("fig.savefig('a.png')")
    assert "fig is a matplotlib.figure.Figure, which %%cache does not keep" in raised
    assert "%%cache drawn --rerun makes it again" in raised
    rerun = kernel.outputs(source.replace("drawn", "drawn --rerun"))
    assert [kind for kind, _ in rerun] == ["stdout", "display_data", "stderr", "execute_result"]
    assert kernel.run("fig.n")[0] == "2"


# What matplotlib does, which takes seconds to start: figures that the end of a cell displays.
FIGURES = """
import sys, types
from IPython.display import display
class Figure:
    __module__ = "matplotlib.figure"
    def _repr_png_(self): return b"\\x89PNG"
class Axes:
    __module__ = "matplotlib.axes"
    def __repr__(self): return "<Axes>"
left, count = [], 0
def draw():
    global count
    count += 1
    made = Figure()
    made.n = count
    left.append(made)
    return made, [Axes()]
def flush_figures():
    while left: display(left.pop())
backend = types.ModuleType("matplotlib_inline.backend_inline")
backend.flush_figures = flush_figures
sys.modules[backend.__name__] = backend
"""


def test_a_cell_that_raises_keeps_nothing_and_its_output_is_its_own(kernel):
    source = "%%cache failing\nprint('begun')\n1 / 0"
    for _ in range(2):
        assert [kind for kind, _ in kernel.outputs(source)] == ["stdout", "error"]
    assert kernel.outputs("print('after')") == [("stdout", "after\n")]
    # IPython has put its own there, too.
    kept = kernel.run("vars(__import__('sys').stdout)['write'].__qualname__")
    assert "Recorder" not in kept[0]
    assert kernel.run("'publish' in vars(get_ipython().display_pub)") == ("False", "")


def test_a_cell_within_a_cell_keeps_its_own_output_in_both(kernel):
    inner = "get_ipython().run_cell_magic('cache', 'inner', \"print('inside')\")"
    source = f"%%cache outer\nprint('before')\n{inner}\nprint('after')"
    for _ in range(2):
        assert kernel.outputs(source) == [("stdout", "before\ninside\nafter\n")]
    assert kernel.outputs("%%cache inner\nprint('inside')") == [("stdout", "inside\n")]


def test_without_output_only_the_value_is_kept(kernel):
    source = "%%cache mute --no-output\nprint('once')\n7"
    assert [kind for kind, _ in kernel.outputs(source)] == ["stdout", "execute_result"]
    assert [kind for kind, _ in kernel.outputs(source)] == ["execute_result"]


@pytest.mark.parametrize("damage", ["b'junk'", "b''", "msgpack(dict(of=1))", "forged()"])
def test_a_forged_record_is_not_shown(kernel, damage):
    kernel.run(FORGE)
    source = "%%cache forged\nprint('mine')\n7"
    kernel.outputs(source.replace("forged", "forged --rerun"))
    kernel.run(f"write({damage})")
    assert [kind for kind, _ in kernel.outputs(source)] in (
        [["execute_result"]] if "forged" in damage else [["stdout", "execute_result"]]
    )
    assert kernel.run("hub.cache.get('forged')") == ("7", "")


FORGE = """
import msgspec
from agentnb.core.cache.outcome import Display, pack_shown
msgpack = msgspec.msgpack.encode
cells = hub.cache.cells
where = cells._key("forged")
def write(data): hub.cache._redis.set(where, data, px=60_000)
def forged():
    kept = msgspec.msgpack.decode(hub.cache._redis.get(where))
    script = Display({"text/html": "<script>alert(1)</script>"})
    context = f"{kept['of']} {kept['beside']} {kept['valued']}"
    shown = pack_shown((script,), b"another key", context)
    return msgpack(kept | {"shown": hub.cache._codec.encode(shown)})
"""
