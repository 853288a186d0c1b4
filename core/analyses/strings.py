"""Strings in carrier sentences: where each ends, in tokens, and what neurons hold there."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from core.analyses.runs import Progress
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import encode, special
from core.spec.errors import Error
from core.spec.site import Site

CARRIERS = ("The word is {}", "Anna said {}", "I read about {}", "It was {}")
MOST_STRINGS = 2_000
MOST_CARRIERS = 50
MAX_STRING = 400  # characters
TOKENS_AT_ONCE = 4_096


def strings_of(given: Sequence[str] | str, what: str, least: int = 2) -> tuple[str, ...]:
    """The strings, each once, without blanks around. Raises `Error` for too few or too many."""
    if isinstance(given, str):
        given = given.replace(",", "\n").splitlines()
    if not all(isinstance(one, str) for one in given):
        raise Error(f"{what} are a list of strings")
    found = tuple(dict.fromkeys(one.strip() for one in given if one.strip()))
    if len(found) < least:
        raise Error(f"{len(found)} {what}; give at least {least}")
    if len(found) > MOST_STRINGS:
        raise Error(f"{len(found):,} {what}; at most {MOST_STRINGS:,} are tested")
    long = next((one for one in found if len(one) > MAX_STRING), None)
    if long is not None:
        raise Error(f"{what} hold a string of {len(long):,} characters; at most {MAX_STRING}")
    return found


def carriers_of(given: Sequence[str] | str, what: str = "carriers") -> tuple[str, ...]:
    """Sentences with one {} each. Raises `Error` where there is none, or more than one."""
    if isinstance(given, str):
        given = given.splitlines()
    found = tuple(dict.fromkeys(one.strip() for one in given if one.strip()))
    for one in found:
        if one.count("{}") != 1:
            raise Error(f"the sentence {one[:60]!r} needs {{}} exactly once, where the string goes")
    if not found:
        raise Error(f"no {what}: give at least one sentence with {{}} where the string goes")
    if len(found) > MOST_CARRIERS:
        raise Error(f"{len(found)} {what}; at most {MOST_CARRIERS} are used")
    return found


def placed(loaded: Loaded, carrier: str, string: str) -> tuple[list[int], int]:
    """(ids of the sentence, position of the string's last token).

    A decoder sees nothing behind a token, so its sentence ends there. Other models read on; where
    what follows changes how the string is split, it is left out.
    """
    before, _, behind = carrier.partition("{}")
    cut = encode(loaded, before + string)
    marks = special(loaded, cut)
    last = max((place for place, mark in enumerate(marks) if not mark), default=len(cut) - 1)
    if loaded.kind == "decoder" or not behind.strip():
        return cut, last
    whole = encode(loaded, before + string + behind)
    return (whole, last) if whole[: last + 1] == cut[: last + 1] else (cut, last)


def layer_values(
    loaded: Loaded, progress: Progress, at: Site, texts: Sequence[tuple[list[int], int]]
) -> Float[Tensor, "text neuron"]:
    """All neurons of the site's layer at one token of each text, [text, neuron] in float32."""
    place = Site(at.layer, "neuron", stack=at.stack)
    order = sorted(range(len(texts)), key=lambda n: len(texts[n][0]))
    found: dict[int, Tensor] = {}
    while order:
        part = _next_part(order, texts)
        progress.step(0.2 * len(found) / len(texts), f"string {len(found)} of {len(texts)}")
        batch = rows(loaded, [texts[n][0] for n in part])
        seen = run(loaded, batch, read=[place], logits="none", check=progress.check)
        for row, n in enumerate(part):
            found[n] = seen.values[place][row, texts[n][1]].float().cpu()
    return torch.stack([found[n] for n in range(len(texts))])


def _next_part(order: list[int], texts: Sequence[tuple[list[int], int]]) -> list[int]:
    """Take as many texts off the list as fit into one batch."""
    part: list[int] = []
    while order and (not part or (len(part) + 1) * len(texts[order[0]][0]) <= TOKENS_AT_ONCE):
        part.append(order.pop(0))
    return part
