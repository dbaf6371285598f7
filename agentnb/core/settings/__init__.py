"""Settings: connection strings, secrets and limits, each with its source.

Arguments win over the environment, and the environment over ``.env``; every value knows
its source. ``.env`` is read, never written into ``os.environ``.
"""

from __future__ import annotations

from agentnb.core.settings.arguments import SettingsArguments
from agentnb.core.settings.fields import FIELDS, Field, Value
from agentnb.core.settings.files import find_root
from agentnb.core.settings.values import Settings

__all__ = ["FIELDS", "Field", "Settings", "SettingsArguments", "Value", "find_root"]
