"""Translate errors of redis-py into errors of agentnb."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from redis import exceptions as theirs

from agentnb.core.errors import (
    AgentnbError,
    ConfigError,
    DeadlineExceeded,
    RejectedError,
    UnavailableError,
    UsageError,
)

if TYPE_CHECKING:
    from agentnb.core.redis.target import Target


__all__ = [
    "REFUSALS",
    "Changed",
    "NoScript",
    "elsewhere",
    "may_pass",
    "refused",
    "translate",
    "with_word",
]


REFUSALS = (
    theirs.ReadOnlyError,
    theirs.BusyLoadingError,
    theirs.AskError,  # and MovedError, which derives from it
    theirs.TryAgainError,
    theirs.ClusterDownError,  # and MasterDownError
)


class NoScript(RejectedError, theirs.NoScriptError):  # noqa: N818 - what happened, as its siblings say it
    """The server does not know the script; redis-py's own ``Script`` sends it then."""


class Changed(RejectedError, theirs.WatchError):  # noqa: N818 - as NoScript
    """A key that was watched has changed; redis-py's own ``transaction`` begins again then."""


def refused(error: BaseException) -> bool:
    """Return whether the server refused the command unexecuted, and may accept it soon.

    In a Redis Cluster that is while a slot moves, or has lost its primary.
    """
    return isinstance(error, REFUSALS)


def may_pass(error: BaseException) -> bool:
    """Return whether a retry may succeed."""
    lost = theirs.ConnectionError | theirs.TimeoutError
    never = theirs.AuthenticationError | theirs.AuthorizationError | theirs.MaxConnectionsError
    if _untrusted(error):
        return False
    return refused(error) or (isinstance(error, lost) and not isinstance(error, never))


def _untrusted(error: BaseException) -> ssl.SSLError | None:
    """Return the TLS error that no retry mends, None if there is none."""
    cause = error.__context__  # redis-py raises its own errors while it handles these
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause
    wrong = isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER"
    return cause if wrong else None  # type: ignore[return-value]  # wrong says that it is one


def translate(error: Exception, target: Target, seconds: float) -> AgentnbError | None:
    """Return the agentnb error for an error of redis-py, None for any other.

    Parameters
    ----------
    error
        The error of redis-py.
    target
        The server, for messages.
    seconds
        The call's timeout.
    """
    if isinstance(error, AgentnbError):
        return error
    for kinds, make in _TRANSLATIONS:
        if isinstance(error, kinds):
            return make(error, target, seconds)
    return None


def _timeout(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    return DeadlineExceeded(
        f"{target} did not answer within {seconds:g} s",
        service="redis",
        hint="it may be busy, stopped or cut off; try again, or give it more time: "
        "hub.redis.within(seconds)",
    )


def _login(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    # Not the server's own words, which might repeat what it was given.
    if "without any password" in str(error):
        why, hint = "asks for no password, and was given one", "take the password out of REDIS_URL"
    elif getattr(error, "status_code", None) == "NOAUTH":
        why, hint = "asks for a password", "REDIS_URL=redis://:password@host:6379/0"
    else:
        why = "refuses the user name or the password"
        hint = "check both in REDIS_URL; special characters are percent-encoded"
    return ConfigError(f"{target} {why}", service="redis", hint=hint)


def _unavailable(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    if untrusted := _untrusted(error):
        return ConfigError(
            f"{target} is not trusted: {untrusted.reason}",
            service="redis",
            hint="its certificate, and rediss:// for a port with TLS; an authority of your own "
            "is named by ?ssl_ca_certs=/path in REDIS_URL",
        )
    return UnavailableError(
        f"{target} cannot be reached: {error}", service="redis", hint=target.hint
    )


def _loading(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    return UnavailableError(
        f"{target} is still loading its data", service="redis", hint="try again in a moment"
    )


def _not_redis(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    return ConfigError(
        f"the server at {target} is not Redis: {error}",
        service="redis",
        hint="check the host and the port in REDIS_URL; rediss:// is the one with TLS",
    )


def _read_only(error: Exception, target: Target, seconds: float) -> AgentnbError:
    return RejectedError(
        f"{target} is read-only, and still was after {seconds:g} s: {error}",
        service="redis",
        hint="it is a replica: REDIS_URL has to name the primary",
    )


def _full(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    return RejectedError(
        f"{target} is full: {error}",
        service="redis",
        hint="delete something, raise its maxmemory, or choose a policy that evicts",
    )


def _no_script(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    return NoScript(f"{target} does not know the script", service="redis", hint="load it again")


def _changed(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    return Changed(str(error), service="redis", hint="begin the transaction again")


def _response(error: Exception, target: Target, seconds: float) -> AgentnbError:
    text = with_word(error)
    word = text.partition(" ")[0]
    if any(start in text for start in _NOT_ALLOWED_IN_SCRIPT):
        return _not_allowed(error, target, seconds)
    if word in _HINTS:
        return RejectedError(text, service="redis", hint=_HINTS[word])
    if word in _LATER:
        return UnavailableError(f"{target}: {text}", service="redis", hint=_LATER[word])
    return RejectedError(text, service="redis", hint=_REFERENCE)


def _incomplete(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    return UnavailableError(
        f"{target} cannot answer now: {with_word(error)}",
        service="redis",
        hint="it, or the cluster that it belongs to, has lost a server or is being changed",
    )


def elsewhere(error: theirs.AskError, target: Target, tag: str) -> RejectedError:
    """Return the error for a key that another server of a Redis Cluster has.

    Parameters
    ----------
    error
        The server's redirection.
    target
        The server, for messages.
    tag
        The hash tag of agentnb's keys.
    """
    return RejectedError(
        f"{target} is a Redis Cluster, whose node {error.host}:{error.port} has this key "
        f"(slot {error.slot_id}): only the node with the keys of {{{tag}}} is used",
        service="redis",
        hint=f"begin the key with {{{tag}}}:, such as {{{tag}}}:mine, and set AGENTNB_KEY_PREFIX "
        "if it is empty; a cache or a bus with another prefix needs RedisClient(url, prefix=...) "
        "of its own, and keys of all nodes redis.cluster.RedisCluster(...)",
    )


def _moved(error: Exception, target: Target, seconds: float) -> AgentnbError:
    return UnavailableError(
        f"{target} belongs to a Redis Cluster, which is moving this key, and still was after "
        f"{seconds:g} s: {with_word(error)}",
        service="redis",
        hint="try again when its slots have moved: redis-cli --cluster check HOST:PORT",
    )


def with_word(error: Exception) -> str:
    """Return an error's text with its first word, which redis-py takes away."""
    word, text = getattr(error, "status_code", None), str(error)
    return text if not word or word == "ERR" or text.startswith(word) else f"{word} {text}"


def _cross_slot(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    return RejectedError(
        f"{target} is a Redis Cluster, and the keys of this command are not in one slot",
        service="redis",
        hint="set AGENTNB_KEY_PREFIX to a name: keys with a prefix share a slot",
    )


def _not_allowed(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    text = with_word(error)
    rule = f"ACL SETUSER {target.user} "
    if found := _COMMAND.search(text):
        hint = f"{rule}+{found[1]} allows it; agentnb needs {rule}{target.rights}"
    elif "channel" in text:
        hint = f"{rule}&* allows all channels, which patterns of events need"
    elif "key" in text:
        hint = f"agentnb's keys need {rule}{target.rights}; another key needs a rule of its own"
    else:
        hint = f"agentnb needs {rule}{target.rights}"
    return RejectedError(
        f"{target} does not let its user {target.user} do that: {text}",
        service="redis",
        hint=f"{hint} (as an administrator, in redis-cli)",
    )


def _data(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    return UsageError(
        str(error), service="redis", hint="pass str, bytes, int or float; encode other values first"
    )


def _unencodable(error: Exception, target: Target, seconds: float) -> AgentnbError:  # noqa: ARG001 - as its siblings
    return UsageError(
        f"the text cannot be encoded: {error}",
        service="redis",
        hint="pass valid Unicode, or bytes",
    )


_Make = Callable[[Exception, "Target", float], AgentnbError]

_COMMAND = re.compile(r"run the '([^']+)' command")
# Of Valkey 9, and of Redis 7.0, which does not say which command or key it is.
_NOT_ALLOWED_IN_SCRIPT = ("ACL failure in script", "The user executing the script can't")
_REFERENCE = "see the command's arguments: https://valkey.io/commands"
_HINTS = {
    "WRONGTYPE": "the key holds another kind of value; hub.redis.type(key) says which",
    "MISCONF": "the server cannot write its data to disk: look at its disk and its log",
    "SELECT": "a Redis Cluster has one database: end REDIS_URL with /0",
    "DB": "the server has no such database: end REDIS_URL with /0",
    "OOM": "delete something, raise its maxmemory, or choose a policy that evicts",
}
_LATER = {
    "BUSY": "a script is running on the server; it can be ended with SCRIPT KILL",
    "NOREPLICAS": "too few replicas are connected",
}

# In order: the first that fits is taken, and many of redis-py's derive from ConnectionError.
_TRANSLATIONS: tuple[tuple[tuple[type[Exception], ...], _Make], ...] = (
    ((theirs.AuthenticationError, theirs.AuthorizationError), _login),
    ((theirs.AuthenticationWrongNumberOfArgsError,), _login),
    ((theirs.BusyLoadingError,), _loading),
    ((theirs.InvalidResponse,), _not_redis),
    ((theirs.TimeoutError, TimeoutError), _timeout),
    ((theirs.ConnectionError, OSError), _unavailable),
    ((theirs.ReadOnlyError,), _read_only),
    ((theirs.OutOfMemoryError,), _full),
    ((theirs.NoScriptError,), _no_script),
    ((theirs.WatchError,), _changed),
    ((theirs.ClusterDownError,), _incomplete),
    ((theirs.AskError, theirs.TryAgainError), _moved),
    ((theirs.ClusterCrossSlotError,), _cross_slot),
    ((theirs.NoPermissionError,), _not_allowed),
    ((theirs.ResponseError,), _response),
    ((theirs.DataError,), _data),
    ((UnicodeEncodeError,), _unencodable),
)
