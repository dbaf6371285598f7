from __future__ import annotations

import time

from agentnb.panels import Paced


def test_what_costs_nothing_is_asked_every_time():
    paced, asked = Paced(share=0.5), []
    for number in range(3):
        time.sleep(0.001)
        paced.get(lambda number=number: asked.append(number))
    assert asked == [0, 1, 2]


def test_what_is_slow_is_asked_again_once_its_cost_is_paid():
    paced, asked = Paced(share=0.01), []

    def ask():
        asked.append(1)
        time.sleep(0.02)
        return len(asked)

    assert [paced.get(ask) for _ in range(3)] == [1, 1, 1]
    paced.reset()
    assert paced.get(ask) == 2


def test_an_answer_that_was_out_of_date_before_it_came_is_not_kept():
    paced = Paced(share=0.01)

    def ask():
        time.sleep(0.02)
        paced.reset()
        return "old"

    assert paced.get(ask) == "old"
    assert paced.get(lambda: "new") == "new"
