"""The address that metrics are offered on."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple

from agentnb.core.ranges import OutsideError, read_whole

__all__ = ["Address", "read_address"]

_LOOPBACK = "127.0.0.1"
_HIGHEST_PORT = 65535
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_FORM = "HOST:PORT, such as 127.0.0.1:9464"


class Address(NamedTuple):
    """A host and a port.

    Attributes
    ----------
    host
        A name or an address.
    port
        0 for one that is free.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        return _is_ip(self.host) and ip_address(self.host).is_loopback


def read_address(text: str) -> Address:
    """Read an address; a port alone is one of this machine, which no other can reach.

    Raises
    ------
    ValueError
        It is none; the message says what is allowed.

    Examples
    --------
    >>> read_address("9464")
    Address(host='127.0.0.1', port=9464)
    >>> str(read_address("[::]:9464")), read_address("0.0.0.0:9464").is_local
    ('[::]:9464', False)
    """
    host, colon, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise OutsideError(_FORM)
    if not colon:
        host = _LOOPBACK
        if not port.isdigit():
            raise OutsideError(_FORM)
    # In full: an empty host or 0 would mean all interfaces of the machine.
    if not (_is_ip(host) or _NAME.fullmatch(host)):
        raise OutsideError(f"{_FORM}; all interfaces are 0.0.0.0:9464")
    return Address(host, read_whole(port, least=0, most=_HIGHEST_PORT))


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
