"""What a section looks at: one model, one text, the active clamps, and the selected token."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.results.attention import AttentionResult
from core.results.card import CardResult
from core.results.next_tokens import NextTokens
from core.spec.interventions import Change, as_python
from core.spec.request import ModelRef, Request, ask

MASKS = ("[MASK]", "<mask>")
# The views a model can lack, as its card names them.
PREDICTIONS, TEXT = "predictions and lens", "generated text"
NEURONS, PATTERNS = "single neurons", "attention patterns"
GATES, OUTPUT_TOKENS = "gates of neurons", "output tokens of neurons"
LENS = "logit lens and direct effects on tokens"


@dataclass(frozen=True, slots=True)
class View:
    """One model on one text, as the visitor has it now."""

    model: ModelRef
    prompt: str
    changes: tuple[Change, ...]
    tokens: tuple[str, ...]
    special: tuple[bool, ...]
    token: int  # the selected token; without a selection the last one, or the mask
    chosen: int | None  # the same as it goes into questions; None is the last token
    seed: int
    card: CardResult | None

    def ask(self, analysis: str, **options: Any) -> Request:
        """A question about this text under the active clamps."""
        return ask(analysis, self.model, self.prompt, interventions=self.changes, **options)

    def clean(self, analysis: str, **options: Any) -> Request:
        """The same question without the clamps."""
        return ask(analysis, self.model, self.prompt, **options)

    def missing(self, view: str) -> str:
        """Why this model has no such view, in a sentence; "" when it has."""
        return missing(self.card, view)

    @property
    def stack(self) -> str:
        """The stack that reads the prompt: "enc" in an encoder-decoder, as in site texts."""
        return "enc" if self.card is not None and self.card.kind == "encoder-decoder" else ""

    @property
    def against(self) -> dict[str, Any]:
        """The option that says as which tokens neurons are read; left out for output tokens."""
        return {"against": "embedding"} if self.missing(OUTPUT_TOKENS) else {}

    @property
    def position(self) -> dict[str, Any]:
        """The option that says at which token; left out for the last one."""
        return {} if self.chosen is None else {"position": self.chosen}


def missing(card: CardResult | None, view: str) -> str:
    """Why a model has no such view ("predictions and lens", ...), "" when it has or may have."""
    found = card.unavailable if card else ()
    why = next((why for name, why in found if name == view), "")
    return f"No {view} for this model: {why}." if why else ""


def selected(result: NextTokens | AttentionResult, token: int | None) -> tuple[int, int | None]:
    """(token, as it goes into questions) of what is selected in this text.

    Nothing selected: the mask of a fill-in text where there is one, else the last token.
    """
    last = len(result.tokens) - 1
    if token is None and getattr(result, "masked", False):
        token = next((i for i, piece in enumerate(result.tokens) if piece.strip() in MASKS), None)
    if token is None or token >= last:
        return last, None
    return token, token


class Patience:
    """How long one run of a page may wait for answers in all."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())


def as_code(request: Request) -> str:
    """The Python lines that compute the same answer in a notebook."""
    model = request.model
    extra = [f"{name}={value!r}" for name, value in _given(model)]
    lines = ["from core import api", "", f"m = api.load({', '.join([repr(model.name), *extra])})"]
    arguments = [repr(request.analysis), "m"]
    if request.prompts:
        arguments.append(f"text={request.prompts[0]!r}")
    if request.interventions:
        changes: Sequence[Change] = request.interventions  # type: ignore[assignment]
        lines += ["clamps = [", *(f"    {as_python(change)}," for change in changes), "]"]
        arguments.append("interventions=clamps")
    arguments += [f"{name}={value!r}" for name, value in request.options]
    return "\n".join([*lines, f"result = api.run({', '.join(arguments)})", "api.figure(result)"])


def _given(model: ModelRef) -> list[tuple[str, str]]:
    pairs = [("revision", model.revision), ("dtype", model.dtype)]
    return [(name, value) for name, value in pairs if value]
