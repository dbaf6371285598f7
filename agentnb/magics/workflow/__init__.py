"""``%workflow``, ``%%workflow`` and ``%%agent``."""
