"""How long `%trace` takes: a large trace as HTML, and one among many on disk."""

from __future__ import annotations

import json
import time

from rounds import Row, by_turns, scratch, spelt

SPANS = 5_000
TRACES = 40
LIMIT, ROOM = 300, 150  # ms, and kB
FOUND, LISTED = 500, 200  # ms


def written(folder):
    """Write 200,000 spans of 40 traces as 10 processes did; return the id of the last trace."""
    from tests.core.trace_samples import many

    folder.mkdir()
    spans = [span.to_dict() for span in many(SPANS).spans]
    for number in range(10):
        owner = f"host|boot|{100 + number}|1"
        first = {"process": {"pid": 100 + number, "host": "host", "role": "worker", "owner": owner}}
        with (folder / f"spans-{100 + number}.jsonl").open("w") as file:
            file.write(json.dumps(first, separators=(",", ":")) + "\n")
            for trace in range(TRACES):
                for record in spans[number::10]:
                    record["trace_id"] = f"{trace + 1:08x}" + "0" * 24
                    record["started"] += 60
                    file.write(json.dumps(record, separators=(",", ":")) + "\n")
    return f"{TRACES:08x}"


def measure(*, quick):
    """Return the rows of this subject."""
    from agentnb.core.trace.spans import Tracer
    from agentnb.core.trace.traces import Traces
    from tests.core.trace_samples import many

    trace = many(SPANS)
    drawn = by_turns(
        {
            "html": trace._repr_html_,
            "text": trace.__repr__,
            "json": lambda: json.dumps(trace.to_dict()),
        },
        rounds=3 if quick else 15,
    )
    size = len(trace._repr_html_().encode()) / 1000
    with scratch() as folder:
        last = written(folder / "logs")
        traces = Traces(Tracer(folder / "logs"), list)
        start = time.process_time()
        traces.list()
        indexed = time.process_time() - start

        def lines():
            for path in (folder / "logs").glob("*.jsonl"):
                for line in path.read_bytes().splitlines():
                    json.loads(line)

        found = by_turns(
            {
                "get": lambda: traces.get(last)._repr_html_(),
                "all": lambda: repr(Traces(Tracer(folder / "logs"), list).list()),
                "lines": lines,
            },
            rounds=1 if quick else 5,
        )

    def row(what, seconds, peer, target):
        value = sorted(seconds)[len(seconds) // 2] * 1000
        return Row(what, spelt(seconds), peer, value, target, "ms")

    beside = f"`json.dumps` of the spans {spelt(drawn['json'])}"
    every = f"`json.loads` of each line {spelt(found['lines'])}"
    return [
        row("a trace of 5,000 spans as HTML", drawn["html"], beside, LIMIT),
        row("the same as text", drawn["text"], beside, LIMIT),
        Row("the HTML's size", f"{size:.0f} kB", "", size, ROOM, "kB"),
        row("a trace of 5,000 spans found among 200,000, as HTML", found["get"], every, FOUND),
        row("the list of the last 20 traces of 200,000 spans", found["all"], every, LISTED),
        row("the first such list, which makes the index", [indexed], every, None),
    ]
