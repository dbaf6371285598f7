"""A worker's pages as Prometheus and Kubernetes read them."""

from __future__ import annotations

from urllib.error import HTTPError
from urllib.request import Request, urlopen

__all__ = ["address_of", "get", "samples", "scrape"]

_LABELS = ("service", "operation", "queue", "agent", "outcome", "state", "le")


def address_of(worker):
    """Return the address that a worker says that it offers its metrics on."""
    return worker.hear(r"metrics  http://(\S+)/metrics")[1]


def get(address, path, **headers):
    """Return the status and the text of a page."""
    try:
        with urlopen(Request(f"http://{address}{path}", headers=headers), timeout=10) as found:
            return found.status, found.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def scrape(address):
    """Return the value of each sample, by its name and the values of its labels."""
    from prometheus_client.parser import text_string_to_metric_families

    status, text = get(address, "/metrics")
    assert status == 200
    return {
        (one.name, *(one.labels[label] for label in _LABELS if label in one.labels)): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def samples(found, name):
    """Return the values of one metric by its labels."""
    return {tuple(labels): value for (one, *labels), value in found.items() if one == name}
