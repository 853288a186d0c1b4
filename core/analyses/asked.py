"""Options that are numbers, checked in one way and refused in one sentence."""

from typing import Any

from core.spec.errors import Error


def whole(name: str, value: Any, most: int, least: int = 1) -> int:
    """The option as a whole number from `least` to `most`. Raises `Error`; True is no number."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Error(
            f"{name} must be a whole number from {least:,} to {most:,}, not {str(value)[:20]!r}"
        )
    return value
