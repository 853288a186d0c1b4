"""Words and numbers as figures print them: tokens made visible, text made harmless."""

import unicodedata
from functools import lru_cache
from typing import Any

import numpy as np

MINUS = "\N{MINUS SIGN}"
_SIGNS = {" ": "·", "\n": "⏎", "\r": "␍", "\t": "⇥", "\N{NO-BREAK SPACE}": "⍽"}
# Invisible in print or able to turn their neighbours round: shown by number. The joiner
# inside an emoji is left alone.
_HIDDEN = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINER = "\u200d"
_RIGHT_TO_LEFT = {"R", "AL", "AN"}


@lru_cache(maxsize=65_536)
def visible(piece: str, most: int = 0) -> str:
    """A token with whitespace, control and direction characters shown as signs.

    `most` > 0 cuts to that many characters, the last one an ellipsis.
    """
    shown = "".join(map(_sign, piece))
    if shown and unicodedata.combining(shown[0]):
        shown = "◌" + shown
    if most and len(shown) > most:
        shown = shown[: most - 1] + "…"
    return shown or "∅"


def readable(piece: str) -> str:
    """A token inside prose: blanks stay blanks and lines break; the rest as in `visible`."""
    if not piece:
        return visible(piece)
    parts = (visible(part) if part else "" for part in piece.split(" "))
    return " ".join(parts).replace("⏎", "⏎\n")


def _sign(char: str) -> str:
    if char in _SIGNS:
        return _SIGNS[char]
    kind = unicodedata.category(char)
    if kind in _HIDDEN or (kind == "Cf" and char != _JOINER):
        code = ord(char)
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return char


def escaped(text: str) -> str:
    """Text that Plotly prints as it is: no tags, no entities, no formulas.

    A ">" alone opens nothing and stays: Plotly fits text to a cell by its escaped length.
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("$", "&#36;")


def token(piece: str, most: int = 16) -> str:
    """A token for a tick, a cell or a hover line: visible, cut and escaped."""
    return escaped(visible(piece, most))


def quoted(*pieces: str, most: int = 12) -> str:
    """Tokens in a sentence: “he”, “she”, “they”, each visible and cut; not escaped."""
    return ", ".join(f"“{_isolated(visible(piece, most))}”" for piece in pieces)


def _isolated(text: str) -> str:
    """Right-to-left text between marks that keep it from turning its neighbours round."""
    turns = any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in text)
    return f"\u2068{text}\u2069" if turns else text


def number(value: Any, *, sign: bool = False) -> str:
    """Three significant digits with a true minus sign; NaN is "no value"."""
    value = float(value)
    if np.isnan(value):
        return "no value"
    text = f"{value:{'+' if sign else ''}.3g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    return "0" if float(text) == 0 else text.replace("-", MINUS)


def count(n: int, one: str, many: str = "") -> str:
    """ "1 token", "2 tokens", "2,048 tokens"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
