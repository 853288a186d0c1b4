"""The visual language: colours by role, scales, fonts and one layout for every figure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """How a figure is drawn, never what it says: dark theme or light, width in pixels.

    `width` None fills the place it is given.
    """

    dark: bool = False
    width: int | None = None
