"""The process that removes a kernel's containers at once when the kernel is gone.

Run as a program, by itself, with the other end of its input in the kernel's hands. It reads one
line of JSON, and then waits: the input ends when the kernel does, however that came about.
A kernel that has removed its containers itself says ``done`` first.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Wait for the end of the input, then remove the objects that its line names."""
    request = json.loads(_line())
    if _line():
        return
    import docker

    tls = docker.tls.TLSConfig(**request["tls"]) if request["tls"] else False
    api = docker.APIClient(request["url"], version="auto", tls=tls, timeout=30)
    filters = {"label": [f"{name}={value}" for name, value in request["labels"].items()]}
    # Twice, since one that was being made when its maker died may appear a moment later.
    for _ in range(2):
        for found in api.containers(all=True, filters=filters):
            name = found["Names"][0].lstrip("/") if found.get("Names") else ""
            if found["Labels"].get(request["name"]) == name:
                try:
                    api.remove_container(found["Id"], force=True, v=True)
                except docker.errors.APIError:
                    continue  # somebody else is removing it
    try:
        networks = api.networks(filters=filters)
    except docker.errors.APIError:
        return  # a proxy in front of the engine lets nobody ask for them
    for found in networks:
        if found["Labels"].get(request["name"]) == found["Name"]:
            try:
                api.remove_network(found["Id"])
            except docker.errors.APIError:
                continue  # a container of another process uses it


def _line() -> bytes:
    """Return the input's next line, read byte by byte, so that the rest stays unread."""
    read = b""
    while not read.endswith(b"\n"):
        byte = os.read(sys.stdin.fileno(), 1)
        if not byte:
            break
        read += byte
    return read


if __name__ == "__main__":
    main()
