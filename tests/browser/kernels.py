"""Kernels that are forked from a process which has imported what takes time.

``python kernels.py serve SOCKET`` is that process, and ``python kernels.py start SOCKET ARGUMENTS``
the command of a kernel, which JupyterLab starts, interrupts and ends. agentnb and ipywidgets are
imported by each kernel: they look at what they are imported in.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
from pathlib import Path

IMPORTED = [
    "IPython.core.completerlib",
    "alembic.command",
    "huey",
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
    "msgspec",
    "psygnal",
    "redis",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.orm",
    "watchfiles",
]


def serve(path):
    """Fork a kernel for each connection, until this process is ended."""
    del sys.path[0]  # this folder, which no kernel has
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a kernel
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            link, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                become_kernel(link)
                os._exit(0)
            link.close()


def become_kernel(link):
    """Run a kernel with the files, the folder and the variables of the process at the other end."""
    import threading

    from ipykernel import kernelapp

    text, files, *_ = socket.recv_fds(link, 1 << 20, 3)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    asked = json.loads(text)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ |= asked["variables"] | {"JPY_PARENT_PID": str(os.getppid())}
    sys.argv = ["ipykernel_launcher.py", *asked["arguments"]]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    link.sendall(b"%d" % os.getpid())

    def end():  # with the other process: JupyterLab may have killed it
        link.recv(1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=end, daemon=True).start()
    kernelapp.launch_new_instance()


def start(path, arguments):
    """Be a kernel to whoever starts this: hand signals on, and end with it."""
    asked = {"folder": str(Path.cwd()), "variables": dict(os.environ), "arguments": arguments}
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(path)
        socket.send_fds(link, [json.dumps(asked).encode()], [0, 1, 2])
        kernel = int(link.recv(20))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: os.killpg(kernel, number))
        link.recv(1)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        start(sys.argv[2], sys.argv[3:])
