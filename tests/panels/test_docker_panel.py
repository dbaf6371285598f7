"""The docker panel over a real engine; what the browser adds is tested there."""

from __future__ import annotations

import time

import pytest

import agentnb
from agentnb.panels import Plot, Spark
from agentnb.panels.docker import DockerPanel
from tests.waiting import refresh, until

PANEL = DockerPanel


@pytest.fixture
def hub(docker_image, tmp_path):  # noqa: ARG001 - it skips where there is no engine
    with agentnb.connect(home=tmp_path / "home") as hub:
        yield hub
        for row in hub.docker.list().rows:
            hub.docker.stop_container(row[0], grace=0)
        hub.docker.prune(images=True)


def refreshed(view):
    view._images.reset()  # which a slow engine is asked for less often
    refresh(view.panel)


def pick(view, name):
    view.containers.select(name)
    view.containers.on_select(name)
    until(lambda: f"<strong>{name}</strong>" in view.about.value)


def message(view):
    return view.panel._bar.widget.message


def test_an_empty_panel_says_what_to_type(view):
    bundle, _ = view().panel._repr_mimebundle_()
    assert "%docker run IMAGE -d -- COMMAND" in bundle["text/plain"]
    assert "%%docker build -t TAG" in bundle["text/plain"]


def test_containers_have_their_numbers_as_a_line(view, hub, docker_image):
    busy = hub.docker.run_container(docker_image, ["sh", "-c", "while :; do :; done"])
    ended = hub.docker.run_container(docker_image, "true")
    hub.docker.wait_until(ended, exited=True)
    shown = view()
    for _ in range(3):
        time.sleep(0.3)
        refreshed(shown)
    _, cpu, memory, status, image, _ = shown.containers.row(busy.name)
    assert str(status).startswith("Up")
    assert status.saved == "running"  # when it began is not said in a saved copy
    assert image == docker_image
    assert float(cpu) > 0  # less than it uses where the machine is busy
    assert any(bar in str(cpu) for bar in "▂▃▄▅▆▇█")
    assert int(memory) > 0
    assert shown.containers.row(ended.name)[1:3] == ("", None)


def test_the_picked_containers_log_is_shown_and_filtered(view, hub, docker_image):
    made = hub.docker.run_container(
        docker_image, ["sh", "-c", "seq 1 30; echo '<b>bad</b>' >&2; sleep 60"]
    )
    hub.docker.wait_until(made, line="bad")
    shown = view()
    pick(shown, made.name)
    assert "\n29\n" in shown.log.widget.value
    assert "&lt;b&gt;bad" in shown.log.widget.value
    shown.filter.value = "BAD"
    until(lambda: shown.log_about.value == "1 of the last 31 lines")
    assert "29" not in shown.log.widget.value
    assert len([one for one in shown.memory.values if one]) >= 1


def test_a_container_is_stopped_and_removed_once_that_is_confirmed(view, hub, docker_image):
    made = hub.docker.run_container(docker_image, "sleep 60")
    shown = view()
    shown.stop.first.click()
    assert "no container is selected" in message(shown)["text"]
    pick(shown, made.name)
    shown.stop.first.click()
    assert shown.stop.second.description == f"Stop and remove {made.name}"
    assert len(hub.docker.list()) == 1
    shown.stop.second.click()
    assert message(shown) == {"text": f"{made.name}: stopped and removed", "error": False}
    until(lambda: "gone: it was removed" in shown.about.value)
    assert len(shown.containers) == 0
    assert shown.stop.first.disabled


def test_another_containers_numbers_are_another_line(view, hub, docker_image):
    one, two = (hub.docker.run_container(docker_image, "sleep 60") for _ in range(2))
    shown = view()
    pick(shown, one.name)
    refreshed(shown)
    assert len(shown.memory.values) >= 2
    pick(shown, two.name)
    assert len(shown.memory.values) <= 2


def test_images_are_listed_with_their_size(view, hub, docker_image):
    tag = f"{docker_image.partition(':')[0]}-panel:latest"
    hub.docker.build_image(None, tag, text=f"FROM {docker_image}\n")
    shown = view()
    _, size, _, _ = shown.images.row(tag)
    assert size > 1_000_000


def test_images_that_were_pruned_are_gone_with_the_next_look(view, hub, docker_image):
    tag = f"{docker_image.partition(':')[0]}-pruned:latest"
    hub.docker.build_image(None, tag, text=f"FROM {docker_image}\n")
    shown = view()
    assert tag in shown.images.shown()
    hub.docker.prune(images=True)
    refreshed(shown)
    assert tag not in shown.images.shown()


def test_networks_are_listed_once_there_is_one(view, hub, docker_image):
    shown = view()
    assert shown.networks.widget.layout.display == "none"
    assert "Networks" not in shown.panel._repr_mimebundle_()[0]["text/plain"]
    made = hub.docker.run_container(
        docker_image, "sleep 60", network=hub.docker.network("agents"), policy="network"
    )
    until(lambda: (refreshed(shown), "agents" in shown.networks.shown())[1])
    assert shown.networks.widget.layout.display is None
    until(lambda: (refreshed(shown), shown.networks.row("agents")[1] == made.name)[1])


def test_without_an_engine_the_panel_is_stale_and_says_why(tmp_path):
    with agentnb.connect(home=tmp_path, docker_host="unix:///nowhere/s") as hub:
        shown = DockerPanel(hub, every=None)
        shown.panel.refresh()
        until(lambda: shown.panel.state.startswith("stale"))
        assert "no Docker engine answers" in shown.panel.state
        shown.panel.close()


def test_a_line_in_a_cell_sorts_by_its_newest_value():
    sparks = [Spark(5, [99, 5]), Spark(None, [None]), Spark(70, [70])]
    assert [str(one) for one in sorted(sparks)] == ["", "█▁ 5.0", "▆ 70.0"]


def test_a_plot_is_cleared_in_every_view():
    plot = Plot("Rate", points=4)
    plot.add(1)
    sent = []
    plot.widget.send = sent.append
    plot.clear()
    assert plot.values == []
    assert sent[0]["full"]["values"] == []
    assert sent[0]["v"] == 2
    plot.close()
