from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

from agentnb.core.workflow.drawing import SIGNS, TONES, svg
from agentnb.core.workflow.drawing.condense import condense, depths
from agentnb.core.workflow.drawing.layout import lay_out
from agentnb.core.workflow.drawing.svg import _MARKS


def task(name, state="blocked", needs=(), **more):
    known = {"agent": "worker", "progress": None, "message": "", "error": None}
    known |= {"attempt": 0, "attempts": 3}
    return SimpleNamespace(name=name, state=state, needs=needs, **(known | more))


def drawn(tasks, **options):
    """Return the picture as a tree, and the elements of its tasks by name."""
    tree = ET.fromstring(svg(tasks, **options).replace("<svg ", "<svg xmlns='' ", 1))
    return tree, {e.get("data-pick"): e for e in tree.iter() if e.get("data-pick") is not None}


def chain(count):
    return [(f"t{n}", (f"t{n - 1}",) if n else ()) for n in range(count)]


def random_graph(count, seed=1):
    draw = random.Random(seed)
    found = [("t0", ())]
    for number in range(1, count):
        many = draw.choice([0, 1, 1, 2, 3])
        needs = {f"t{draw.randrange(max(0, number - 30), number)}" for _ in range(many)}
        found.append((f"t{number}", tuple(sorted(needs))))
    return found


def test_every_task_stands_to_the_right_of_all_it_needs():
    graph = tuple(random_graph(120))
    layout = lay_out(graph)
    left = {name: box for box in layout.boxes for name in box.tasks}
    for name, needs in graph:
        assert all(left[need].x + left[need].width <= left[name].x for need in needs)


def test_no_box_covers_another_and_all_are_inside_the_picture():
    layout = lay_out(tuple(random_graph(200)))
    for at, one in enumerate(layout.boxes):
        assert one.x >= 0
        assert one.y >= 0
        assert one.x + one.width <= layout.width
        assert one.y + one.height <= layout.height
        for other in layout.boxes[at + 1 :]:
            apart = one.x + one.width <= other.x or other.x + other.width <= one.x
            apart = apart or one.y + one.height <= other.y or other.y + other.height <= one.y
            assert apart, (one, other)


def test_a_line_that_passes_a_layer_runs_between_its_boxes():
    layout = lay_out((*chain(4), ("side", ("t1",)), ("end", ("t3", "t0"))))
    place = {name: at for at, box in enumerate(layout.boxes) for name in box.tasks}
    line = next(one for one in layout.lines if one.start == place["t0"] and len(one.points) > 2)
    for x, y in line.points[1:-1]:
        for box in layout.boxes:
            within = box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height
            assert not within


def test_a_chain_is_drawn_as_a_straight_line():
    layout = lay_out(tuple(chain(5)))
    assert len({box.y for box in layout.boxes}) == 1


def test_a_wide_fan_out_is_one_box_with_a_cell_for_each_task():
    shards = [task(f"shard-{n}", "waiting", ("plan",)) for n in range(100)]
    shards[7].state = "failed"
    tasks = [task("plan", "completed"), *shards, task("join", needs=[s.name for s in shards])]
    tree, found = drawn(tasks)
    assert set(found) == {one.name for one in tasks}
    assert float(tree.get("width")) < 700
    assert float(tree.get("height")) < 200
    assert "shard-… (100)" in "".join(tree.itertext())
    assert "1 failed" in "".join(tree.itertext())
    assert "shard-7: failed" in found["shard-7"].findtext("title")


def test_a_long_chain_is_one_box_and_names_the_task_that_runs():
    tasks = [task(name, needs=needs) for name, needs in chain(60)]
    for one in tasks[:10]:
        one.state = "completed"
    tasks[10].state = "active"
    tree, found = drawn(tasks)
    assert len(found) == 60
    assert float(tree.get("width")) < 300
    assert "10 of 60 · t10" in "".join(tree.itertext())


def test_few_tasks_are_drawn_one_by_one():
    found = condense([("a", ()), *((f"b{n}", ("a",)) for n in range(6)), *chain(7)])
    assert all(len(group.tasks) == 1 for group in found)


def test_what_branches_is_no_part_of_a_chain():
    found = condense([*chain(20), ("side", ("t9",))])
    assert [group.tasks[0] for group in found if group.chain] == ["t0", "t10"]
    assert {len(group.tasks) for group in found} == {10, 1}


def test_nothing_moves_while_states_change():
    tasks = [task(name, needs=needs) for name, needs in random_graph(30)]
    before = re.findall(r"translate\([^)]*\)", svg(tasks))
    for number, one in enumerate(tasks):
        one.state = list(SIGNS)[number % len(SIGNS)]
        one.progress, one.error, one.message = 0.5, "broken", "at it"
    assert re.findall(r"translate\([^)]*\)", svg(tasks)) == before


@pytest.mark.parametrize("state", SIGNS)
def test_every_state_has_a_sign_and_a_word_beside_its_colour(state):
    tree, found = drawn([task("one", state, error="why")])
    assert _MARKS[state].split('d="')[-1].split('"')[0] in svg([task("one", state)])
    assert state in found["one"].findtext("title").lower()
    texts = [e.text for e in tree.iter() if e.tag.endswith("text")]
    assert any(state in text for text in texts)
    assert state in TONES


def test_an_active_task_has_a_bar_as_long_as_its_progress():
    half, whole = svg([task("a", "active", progress=0.5)]), svg([task("a", "active", progress=1.0)])
    bars = [
        [float(w) for w in re.findall(r'width="([\d.]+)" height="3"', s)] for s in (half, whole)
    ]
    assert bars[0][1] == bars[0][0] / 2
    assert bars[1][1] == bars[1][0]
    assert 'height="3"' not in svg([task("a", "active")])
    assert "50%" in half


def test_names_and_errors_are_escaped_and_long_ones_cut():
    bad = '<script>alert("1")</script>' * 3
    text = svg([task(bad, "failed", error=f"{bad}\x1b[31m\x00"), task("b", needs=(bad,))], bad)
    assert "<script" not in text
    tree, found = drawn([task(bad, "failed", error=bad)], label=bad)
    assert bad in found
    shown = [e.text for e in tree.iter() if e.tag.endswith("text")]
    assert all(len(one) < 30 for one in shown)
    assert "\x00" not in text
    assert "\x1b" not in text


def test_wide_letters_take_the_room_of_two():
    tree, _ = drawn([task("報告書を作成する長い名前のタスク")])
    texts = [e.text for e in tree.iter() if e.tag.endswith("text")]
    assert len(texts[0]) < 10
    assert texts[0].endswith("…")


def test_the_picture_says_what_it_shows_to_those_who_hear_it():
    tasks = [task("a", "completed"), task("b", "approval", ("a",))]
    tree, _ = drawn(tasks, label="release 7")
    assert tree.get("aria-label") == "release 7: 1 completed, 1 awaiting approval"
    assert svg([]).count("no tasks") == 1


def test_the_selected_task_has_a_thicker_edge():
    tasks = [task("a"), task("b")]
    assert svg(tasks, selected="b") != svg(tasks)
    assert svg(tasks, selected="b").count("stroke-width:2.5") == 1


def test_needs_that_are_not_there_and_cycles_do_not_break_the_picture():
    _, found = drawn([task("a", needs=("gone",)), task("b", needs=("c",)), task("c", needs=("b",))])
    assert set(found) == {"a", "b", "c"}
    assert depths({"a": ["b"], "b": ["a"]}) == {"a": 0, "b": 0}
