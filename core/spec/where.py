"""Which tokens a change acts at, as a short text.

""          every token, of the prompt and generated
"prompt"    the tokens of the given text
"generated" the tokens the model has written
"2,5-7,9-"  by number, counted from 0 over prompt and generated tokens
"""

import re
from functools import lru_cache

from core.spec.errors import Error

NAMES = ("", "prompt", "generated")
MOST_SPANS = 200

_SPAN = re.compile(r"(\d{1,7})(-)?(\d{1,7})?")
Span = tuple[int, int | None]  # first and last token; None: to the end


def canonical(text: str) -> str:
    """The one way to write these tokens: sorted, merged, "" where every token is meant.

    Raises `Error` on anything that names no tokens.
    """
    if not isinstance(text, str):
        raise Error(f"where a change acts is a text, not {str(text)[:40]!r}")
    text = "".join(text.split())
    if text in NAMES or text == "all":
        return "" if text == "all" else text
    spans = _merged(sorted(map(_span, text.split(",")), key=lambda span: span[0]))
    if len(spans) > MOST_SPANS:
        raise Error(f"{len(spans)} ranges of tokens; a change takes at most {MOST_SPANS}")
    return "" if spans == [(0, None)] else ",".join(map(_written, spans))


def acts(where: str, first: int, n: int, prompt: int) -> list[bool]:
    """Does it act at each of the tokens `first` to `first + n - 1`? `prompt` of all are given."""
    places = range(first, first + n)
    match where:
        case "":
            return [True] * n
        case "prompt":
            return [place < prompt for place in places]
        case "generated":
            return [place >= prompt for place in places]
    spans = _spans(where)
    return [any(a <= place and (z is None or place <= z) for a, z in spans) for place in places]


@lru_cache(maxsize=1_024)
def _spans(where: str) -> tuple[Span, ...]:
    return tuple(map(_span, where.split(",")))


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text)
    if found is None or (found[3] and not found[2]):
        raise Error(
            f"tokens {text[:40]!r} cannot be read; expected 'prompt', 'generated' or numbers "
            "like '3-7' or '2,5,9-'"
        )
    first = int(found[1])
    last = None if found[2] and not found[3] else int(found[3] or first)
    if last is not None and last < first:
        raise Error(f"tokens {text[:40]!r} run backwards; write {last}-{first}")
    return first, last


def _merged(spans: list[Span]) -> list[Span]:
    """Sorted spans, those that touch put together."""
    merged: list[Span] = []
    for first, last in spans:
        if merged and (merged[-1][1] is None or first <= merged[-1][1] + 1):
            before = merged[-1][1]
            end = None if before is None or last is None else max(before, last)
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((first, last))
    return merged


def _written(span: Span) -> str:
    first, last = span
    return str(first) if last == first else f"{first}-{'' if last is None else last}"
