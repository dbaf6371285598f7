"""The models of pydantic-ai that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import ConfigError, UsageError
from agentnb.core.llm.extra import require_ai
from agentnb.core.ranges import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_ai.models import Model

__all__ = ["make_model"]

_OPENAI = frozenset({"openai", "openai-chat"})


def make_model(
    model: str | None, base_url: str | None, key: str | None, redactor: Callable[[str], str]
) -> Model:
    """Return a model of pydantic-ai.

    Parameters
    ----------
    model
        ``PROVIDER:NAME``; None where nothing names one.
    base_url
        The address of an API of OpenAI's form; None for the provider's own.
    key
        The key; None for the one that the provider's library finds by itself.
    redactor
        Masks the key in errors.

    Raises
    ------
    ConfigError
        No model is named, or the packages of it are not installed.
    UsageError
        There is no such provider, or no such address.
    """
    if model is None:
        raise ConfigError(
            "no language model is named",
            service="llm",
            hint='set AGENTNB_LLM=openai:MODEL and AGENTNB_LLM_KEY, or hub.llm("openai:MODEL")',
        )
    require_ai("hub.llm")
    if not isinstance(model, str) or not model.strip() or not model.isprintable():
        raise refused("model", "PROVIDER:NAME", model, "llm", 'hub.llm("openai:MODEL")')
    provider, _, name = model.partition(":")
    if base_url is not None:
        _check(base_url)
        if provider not in _OPENAI or not name:  # of a name such as llama:8b
            provider, name = "openai", model
    if provider in _OPENAI:
        require_ai("a model of OpenAI's form", "openai")
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        return _made(
            model,
            lambda: OpenAIChatModel(name, provider=OpenAIProvider(base_url=base_url, api_key=key)),
            redactor,
        )
    from pydantic_ai.models import infer_model
    from pydantic_ai.providers import infer_provider, infer_provider_class

    def provide(kind: str) -> Any:
        if key is None:
            return infer_provider(kind)
        provider_class: Any = infer_provider_class(kind)
        return provider_class(api_key=key)

    return _made(model, lambda: infer_model(model, provider_factory=provide), redactor)


def _check(base_url: object) -> None:
    ok = isinstance(base_url, str) and base_url.startswith(("http://", "https://"))
    if not ok:
        hint = 'hub.llm("openai:MODEL", base_url="http://127.0.0.1:8000/v1")'
        raise refused("base_url", "an http or https address", base_url, "llm", hint)


def _made(model: str, make: Callable[[], Model], redactor: Callable[[str], str]) -> Model:
    """Return what a function makes, with errors of agentnb for those of pydantic-ai."""
    from pydantic_ai.exceptions import UserError

    try:
        return make()
    except ImportError as error:
        provider = model.partition(":")[0]
        raise ConfigError(
            f"the models of {provider} need a package that is not installed here",
            service="llm",
            hint=f"%pip install 'pydantic-ai-slim[{provider}]'",
        ) from error
    except (UserError, ValueError, TypeError) as error:
        raise UsageError(
            redactor(f"model {model!r} cannot be used: {error}"),
            service="llm",
            hint="AGENTNB_LLM=PROVIDER:NAME, such as openai:MODEL, and AGENTNB_LLM_KEY",
        ) from error
    except Exception as error:
        raise ConfigError(
            redactor(f"model {model!r} cannot be used: {error}"),
            service="llm",
            hint="set AGENTNB_LLM_KEY, or hub.llm(key=)",
        ) from error
