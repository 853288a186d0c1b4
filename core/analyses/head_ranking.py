"""Which heads matter for a prompt, or for a concept: ranked by effect, not by attention."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from core.analyses.given import asked_concept
from core.analyses.head_concept_ranking import agreement, concept_ranking
from core.analyses.head_effect import head_effect
from core.analyses.runs import Progress, prompt_rows
from core.engine.forward import run
from core.engine.writes import write_matrix
from core.models.loaded import Loaded
from core.results.head_ranking import HeadRanking
from core.spec.errors import Error
from core.spec.interventions import Change
from core.spec.site import Site

NAN = float("nan")


def head_ranking(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str = "",
    interventions: Sequence[Change] = (),
    position: int | str | None = None,
    answer: str | int = "",
    against: str | int = "",
    concept: Any = "",
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    pairs: Sequence[Sequence[str]] = (),
    direction: Sequence[float] = (),
    layer: int | None = None,
    to: str = "mean",
    most: int = 256,
    seed: int = 0,
) -> HeadRanking:
    """Heads by the size of what ablating them does.

    text      a prompt: to log p of its answer (or of `answer`), at the token `position`
    concept   or positive= and negative=, or pairs=: to the concept's projection behind `layer` (the
              last one that separates as well as the best). The state of a text: its "last" token,
              "mean", "-2" ... Half of the texts builds the direction, unless `direction` is given;
              the other half is looked at. Heads are put at their mean over these texts.
    most      heads that are ablated for a concept: those that write most of it
    """
    meant = asked_concept(concept, positive, negative, pairs)
    if bool(text) == (meant is not None):
        raise Error("give a text, or a concept (or positive and negative texts, or pairs)")
    if meant is None:
        if isinstance(position, str):
            raise Error("the position in a prompt is a number")
        asked = (text, interventions, position, answer, against, to, seed)
        return _prompt(loaded, progress, *asked)
    if to not in ("mean", "zero"):
        raise Error(f"for a concept heads are ablated to mean or zero, not to {to[:20]!r}")
    if isinstance(position, int):
        raise Error("the position in the texts of a concept is 'last', 'mean' or '-2', '-3', ...")
    at = position or "last"
    return concept_ranking(
        loaded, progress, meant, at, interventions, direction, layer, to, most, seed
    )


def _prompt(
    loaded: Loaded,
    progress: Progress,
    text: str,
    interventions: Sequence[Change],
    position: int | None,
    answer: str | int,
    against: str | int,
    to: str,
    seed: int,
) -> HeadRanking:
    asked: dict[str, Any] = {"text": text, "interventions": interventions, "position": position}
    asked |= {"answer": answer, "against": against, "to": to, "seed": seed}
    found = head_effect(loaded, progress, **asked)
    sharp, size = _looks(loaded, progress, text, interventions, found.position)
    columns = {"direct": found.direct, "kl": found.kl, "attention": sharp, "size": size}
    columns = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    return HeadRanking(
        request={},
        kind="prompt",
        about=found.answer,
        sides=(),
        unit="nats",
        to=to,
        position=str(found.position),
        layer=-1,
        separation=NAN,
        n_built=(0, 0),
        n_texts=1,
        n_controls=found.n_controls,
        n_random=0,
        notes=(found.why_not,) if found.why_not else (),
        gap=NAN,
        effect=found.effect,
        control=found.control,
        columns=columns,
        nulls={"direct": found.control_direct, "kl": found.control_kl},
        agreement=agreement(found.effect, columns),
        start=NAN,
        attention=np.zeros(0),
        mlp=np.zeros(0),
        stack=found.stack,
    )


def _looks(
    loaded: Loaded, progress: Progress, text: str, change: Sequence[Change], place: int
) -> tuple[np.ndarray, np.ndarray]:
    """[layer, head] largest attention weight at the token (NaN without patterns), size of write."""
    prompt, _ = prompt_rows(loaded, text)
    stack = loaded.prompt_stack
    layers = range(len(loaded.stacks[stack].blocks))
    heads = [Site(layer, "head", position=place, stack=stack) for layer in layers]
    looks = [Site(layer, "pattern", position=place, stack=stack) for layer in layers]
    looks = looks if loaded.pattern_source else []
    read = [*heads, *looks]
    seen = run(
        loaded, prompt, read=read, change=[change], logits="none", check=progress.check
    ).values
    sharp = torch.full((len(layers), loaded.n_heads), torch.nan)
    size = torch.zeros_like(sharp)
    for layer in layers:
        with loaded.busy():
            write = write_matrix(loaded, Site(layer, "head", stack=stack))
        wrote = torch.einsum("he,hed->hd", seen[heads[layer]][0, 0].float(), write)
        size[layer] = wrote.norm(dim=-1).cpu()
        if looks:
            sharp[layer] = seen[looks[layer]][0, :, 0].float().amax(dim=-1).cpu()
    return sharp.numpy(), size.numpy()
