"""%queue map and %queue batches, and the bars of batches."""

from __future__ import annotations

import re

import pytest
from IPython.core.completer import provisionalcompleter

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.queue import Batch


@pytest.fixture
def hub(shell):
    return shell.user_ns["hub"]


def data_of(batch):
    counts = batch.counts()
    return [batch.queue.get(f"{batch.id}.{n}").data for n in range(counts.total)]


def test_the_items_are_a_name_of_the_notebook_a_json_list_or_the_words(run, shell):
    shell.user_ns["paths"] = ["a.png", "b.png"]
    batch = run("%queue map q :paths --key monday --priority 2 --attempts 4 --result-ttl 60")
    assert isinstance(batch, Batch)
    assert (batch.key, data_of(batch)) == ("monday", ["a.png", "b.png"])
    options = batch.queue.get(f"{batch.id}.0").options
    assert (options.priority, options.attempts) == (2, 4)
    assert data_of(run('%queue map q [1, {"a": 2}]')) == [1, {"a": 2}]
    assert data_of(run("%queue map q 1 two '3'")) == [1, "two", "3"]
    assert data_of(run("%queue map q 5")) == [5]
    shell.user_ns["one"] = {"a": 1}
    assert data_of(run("%queue map q :one :one")) == [{"a": 1}, {"a": 1}]
    assert run("%queue map q :paths --key monday --priority 2 --attempts 4").id == batch.id
    with pytest.raises(UsageError, match=r"key .monday. was used .* with priority=2"):
        run("%queue map q :paths --key monday")
    with pytest.raises(UsageError, match="key 'monday' was used"):
        run("%queue map q :paths 3 --key monday --priority 2 --attempts 4")


def test_a_function_stands_before_the_items(run):
    run("def double(job):\n    return job.data * 2")
    assert run("%queue map squares :double [1, 2]").results(30) == [2, 4]
    batch = run("%queue map others tests.core.test_queue_map:double 1 2")
    assert batch.function == "tests.core.test_queue_map:double"
    assert data_of(batch) == [1, 2]
    for line in ("%queue map squares :double", "%queue map q a:b"):
        with pytest.raises(UsageError, match="no items behind the function"):
            run(line)


@pytest.mark.parametrize("value", ["text", {"a": 1}, None, 7])
def test_a_name_that_is_no_list_is_refused(run, shell, value):
    shell.user_ns["value"] = value
    with pytest.raises(UsageError, match="items must be a list or another iterable"):
        run("%queue map q :value")


def test_the_cell_of_the_queue_processes_the_items(run):
    run("%%queue task mail\njob.data * 3")
    run("%queue work mail --quiet")
    batch = run("%queue map mail [1, 2]")
    assert batch.function == "the cell of mail"
    assert batch.results(30) == [3, 6]


def test_batches_are_a_table(run, shown):
    assert "no batch is kept: %queue map QUEUE :items" in shown("%queue batches")
    run("%queue map a [1, 2] --key monday")
    batch = run("%queue map b [1]")
    rows = {row.queue: row for row in run("%queue batches")}
    assert (rows["a"].batch, rows["a"].ended, rows["a"].of) == ("monday", 0, 2)
    assert rows["b"].batch == batch.id
    batch.cancel()
    (row,) = run("%queue batches b")
    assert (row.cancelled, row.ended, row.progress) == (1, 1, "██████████ 100 %")
    assert run("%queue batches a monday").key == "monday"
    with pytest.raises(NotFoundError, match="no batch tuesday"):
        run("%queue batches a tuesday")
    with pytest.raises(NotFoundError, match="no queue aa"):
        run("%queue batches aa")
    assert len(run("%queue batches -n 1")) == 2


def test_a_batch_that_was_not_added_whole_says_so(run, hub):
    def items():
        yield from range(600)
        raise ValueError("no disk")

    with pytest.raises(ValueError, match="no disk"):
        hub.queue("q").map(None, items(), key="k")
    (row,) = run("%queue batches")
    assert (row.of, row.left) == (500, "not all added")


def test_tab_offers_queues_names_and_batches(run, shell):
    shell.user_ns["paths"] = ["a"]
    run("%queue map mail :paths --key monday")

    def offered(text):
        with provisionalcompleter():
            return [one.text for one in shell.Completer.completions(text, len(text))]

    assert "map" in offered("%queue ma")
    assert "mail" in offered("%queue map ma")
    assert "paths" in offered("%queue map mail :pa")
    assert "--key" in offered("%queue map mail :paths --k")
    assert "monday" in offered("%queue batches mail mo")


def test_a_batch_is_displayed_as_a_line_where_there_is_no_kernel(shown):
    assert "Batch(q k: 0 of 2)" in shown("hub.queue('q').map(None, [1, 2], key='k')")


def test_a_batch_is_displayed_as_a_bar_that_goes_on(kernel):
    kernel.run("import time\ndef slow(job):\n    time.sleep(0.2)\n    return job.data")
    text, raised = kernel.run("batch = hub.queue('slow').map(slow, range(10)); batch")
    assert raised == ""
    assert re.search(r"^Batch\(slow \w+: \d of 10", text, re.MULTILINE)
    # In the cell that waits for longer than a moment there is a bar, which goes with its end.
    text, raised = kernel.run("hub.queue('slow').map(slow, range(20)).results()[-1]")
    assert raised == ""
    assert "slow: " in text
    assert text.endswith("19")


def test_a_displayed_batch_says_what_came_of_it(kernel):
    kernel.run("def f(job):\n    return job.data")
    kernel.run("from IPython.display import DisplayHandle as H\nupdates = []")
    kernel.run(
        "update = H.update\n"
        "H.update = lambda self, shown, **more: (updates.append(repr(shown)), "
        "update(self, shown, **more))[0]"
    )
    kernel.run("hub.queue('f').map(f, range(5), key='five')")
    kernel.run(
        "end = time.monotonic() + 30\n"
        "while '5 of 5' not in ''.join([*updates, repr(_)]) and time.monotonic() < end:\n"
        "    time.sleep(0.05)"
    )
    # It may have ended before it was displayed.
    text, _ = kernel.run("print((updates or [repr(_)])[-1])\nH.update = update")
    assert text == "Batch(f five: 5 of 5)\n"
