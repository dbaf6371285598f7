"""The sample service does its work, on SQLite and the embedded server."""

from __future__ import annotations

import importlib
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agentnb.testing import isolated_hub, run_until_idle

SCRIPTS = Path(__file__).parents[2] / "notebooks" / "scripts"
AMOUNTS = {"EURUSD": 1.5, "GBPUSD": 2.5}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        symbol = self.path.rpartition("/")[2]
        body = {"symbol": symbol, "amount": AMOUNTS[symbol], "at": "2026-01-02T03:04:05Z"}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def prices():
    """Run the API of prices."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def service(prices, monkeypatch):
    """Return the modules of the service by their names."""
    monkeypatch.setenv("PRICES_URL", f"http://127.0.0.1:{prices.server_port}")
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield lambda name: importlib.import_module(f"service.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == "service"]:
        del sys.modules[name]


def test_jobs_save_prices_and_agents_report_on_them(service, prices):
    app, report, kind = service("app"), service("report"), service("prices").Price
    with isolated_hub() as hub:
        run_until_idle(hub, service("jobs"), report)  # registers them, as a worker does
        jobs, workflow = app.order(hub, list(AMOUNTS))
        run_until_idle(hub, approve=True)
        found = [job.result(timeout=10, type=kind) for job in jobs]
        assert {one.symbol: one.amount for one in found} == AMOUNTS
        saved = hub.db.query("select * from price order by symbol").objects(kind)
        assert saved == found
        written = workflow.result_of("write", type=report.Report)
        text = hub.files.read_file(written.path)
        assert text == "EURUSD 1.50\nGBPUSD 2.50\naverage 2.00"
        assert sorted(prices.asked) == ["/prices/EURUSD", "/prices/GBPUSD"]
        events = [event.data for event in hub.events.history("price.changed")]
        assert [event["symbol"] for event in events] == list(AMOUNTS)
        last = hub.events.history("report.written")[-1]
        assert last.data == {"path": written.path, "by": "publish"}


def test_a_price_that_has_not_changed_is_not_published_again(service):
    app, prices = service("app"), service("prices")
    with isolated_hub() as hub:
        run_until_idle(hub, service("jobs"), service("report"))
        app.order(hub, ["EURUSD"])
        price = prices.Price("EURUSD", 1.5, "2026-01-01T00:00:00Z")
        assert prices.save(hub.db, price) is None
        assert prices.save(hub.db, price) == price
        run_until_idle(hub, approve=True)
        assert hub.events.history("price.changed") == []
