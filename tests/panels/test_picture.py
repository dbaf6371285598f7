from __future__ import annotations

import pytest

from agentnb.panels import Panel, Picture


@pytest.fixture
def picture():
    made = Picture("Graph")
    yield made
    made.close()


def test_what_is_picked_is_told_by_its_name(picture):
    picked = []
    picture.on_pick = picked.append
    for content in ({"do": "pick", "name": "api"}, {"do": "pick"}, {"do": "x", "name": "api"}, {}):
        picture._received(None, content, None)
    assert picked == ["api"]


def test_the_same_again_is_not_sent(picture):
    picture.show("<svg>1</svg>")
    sent = []
    picture.widget.send_state = lambda key=None: sent.append(key)
    picture.show("<svg>1</svg>")
    assert sent == []
    picture.show("<svg>2</svg>")
    assert len(sent) == 1


def test_a_lone_surrogate_is_shown_as_what_cannot_be_shown(picture):
    picture.show("<svg>\ud800</svg>")
    assert picture.widget.html == "<svg>?</svg>"


def test_an_empty_picture_takes_no_room(picture):
    picture.show("")
    assert picture.widget.layout.display == "none"
    picture.show("<svg></svg>")
    assert picture.widget.layout.display is None


def test_a_saved_notebook_has_the_picture_and_its_words(picture):
    panel = Panel("Graph")
    panel.compose(picture)
    picture.show("<svg><title>a &lt;b&gt;</title></svg>", "1 task")
    bundle, _ = panel._repr_mimebundle_()
    assert "<svg><title>a &lt;b&gt;</title></svg>" in bundle["text/html"]
    assert "1 task" in bundle["text/plain"]
    panel.close()
