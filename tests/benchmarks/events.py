"""From publish to handler, how many can be published, and what listening costs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from time import perf_counter, process_time, sleep

import peers
from rounds import Row, by_turns, compared, embedded, scratch, spelt

CALLS = 300
DATA = {"task_id": "task-456", "status": "success", "words": "x" * 60}
RAW = "redis-py"
IDLE_SECONDS = 5.0

# Hears in a process of its own, and answers at once, as a handler of its kind does.
_OURS = """
import sys
from agentnb.core.events import EventBus
from agentnb.core.redis import RedisClient
bus = EventBus(RedisClient(f"unix://{sys.argv[1]}"), prefix="bench")
import redis
client = redis.Redis(unix_socket_path=sys.argv[1])
bus.subscribe("there", lambda event: client.lpush("back", event.data["status"]))
print("ready", flush=True)
sys.stdin.read()
"""
_RAW = """
import json, sys
import redis
client = redis.Redis(unix_socket_path=sys.argv[1])
listening = client.pubsub(ignore_subscribe_messages=True)
listening.subscribe("raw")
print("ready", flush=True)
while True:
    message = listening.get_message(timeout=1)
    if message:
        client.lpush("back", json.loads(message["data"])["status"])
"""


def listener(source, path):
    """Start a process that hears, and return it once it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", source, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    while process.stdout.readline().strip() != "ready":
        assert process.poll() is None
    return process


def there_and_back(bus, client, rounds):
    """Return the seconds from publish to the handler's answer, by name."""

    def answered(publish):
        def call():
            publish()
            client.brpop("back", timeout=5)

        return call

    calls = {
        RAW: peers.repeated(answered(lambda: client.publish("raw", json.dumps(DATA))), 50),
        "agentnb": peers.repeated(answered(lambda: bus.publish("there", DATA)), 50),
    }
    found = by_turns(calls, rounds=rounds, clock=perf_counter)
    return {name: [each / 50 for each in seconds] for name, seconds in found.items()}


def published(bus, client, rounds):
    """Return the seconds of one publish, by name."""
    calls = {
        RAW: lambda: client.publish("nobody", json.dumps(DATA)),
        "agentnb": lambda: bus.publish("nobody", DATA),
        "durable=False": lambda: bus.publish("nobody", DATA, durable=False),
    }
    repeated = {name: peers.repeated(call, CALLS) for name, call in calls.items()}
    found = by_turns(repeated, rounds=rounds, clock=perf_counter)
    return {name: [each / CALLS for each in seconds] for name, seconds in found.items()}


def idle(bus):
    """Return the share of a core, in percent, that a hundred subscribers take to wait."""
    made = [bus.subscribe(f"idle.{n}", print) for n in range(100)]
    sleep(1)
    started, begun = process_time(), perf_counter()
    sleep(IDLE_SECONDS)
    share = 100 * (process_time() - started) / (perf_counter() - begun)
    for one in made:
        one.close()
    return share


def attached(bus, rounds):
    """Return the seconds that it takes to make an attachment, and to deliver it to nobody."""

    def call():
        bus.attachment("nobody", DATA).delivered(b"1-1")

    found = by_turns({"agentnb": peers.repeated(call, CALLS)}, rounds=rounds, clock=perf_counter)
    return [each / CALLS for each in found["agentnb"]]


def measure(*, quick):
    """Return the rows of this subject."""
    from agentnb.core.events import EventBus

    rounds = 8 if quick else 30
    rows = []
    with scratch(), embedded() as (hub, path):
        client = peers.raw(path)
        with EventBus(hub.redis, prefix="bench") as bus:
            processes = [listener(source, path) for source in (_OURS, _RAW)]
            try:
                found = there_and_back(bus, client, rounds)
            finally:
                for process in processes:
                    process.kill()
                    process.wait()
                    process.stdin.close()
                    process.stdout.close()
            what = "publish to a handler in another process, and its answer back"
            rows.append(compared(what, found, "agentnb", RAW, target=1.3, unit="µs"))
            found = published(bus, client, rounds)
            what = "publish 100 B, kept in the log"
            rows.append(compared(what, found, "agentnb", RAW, target=1 / 0.6, unit="µs"))
            what = "publish 100 B, `durable=False`"
            rows.append(compared(what, found, "durable=False", RAW, target=None, unit="µs"))
            shown = attached(bus, rounds)
            value = statistics.median(shown) * 1e6
            what = "an event made ready for another's script, and delivered to nobody"
            rows.append(Row(what, spelt(shown, "µs"), "", value, 10, "µs"))
            share = idle(bus)
            what = "100 idle subscribers, share of a core"
            rows.append(Row(what, f"{share:.2f} %", "", share, 1, "%"))
    return rows
