"""Where one head looks: its pattern on a text."""

from collections.abc import Sequence

import torch

from core.analyses.runs import Progress, prompt_rows
from core.engine.forward import run
from core.models.loaded import Loaded
from core.models.tokens import pieces, special
from core.results.attention import AttentionResult
from core.spec.interventions import Change
from core.spec.site import Site


def attention(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    layer: int,
    head: int,
    interventions: Sequence[Change] = (),
) -> AttentionResult:
    """Attention probabilities of one head, [query, key], in steps of 1/255.

    The control is uniform attention over what a query can see. A weight is no effect: see
    `head_effect` for what the head causes.
    """
    prompt, ids = prompt_rows(loaded, text)
    place = Site(layer, "pattern", head, stack=loaded.prompt_stack)
    seen = run(
        loaded, prompt, read=[place], change=[interventions], logits="none", check=progress.check
    )
    pattern = seen.values[place][0]
    visible = torch.arange(1, len(ids) + 1, dtype=torch.float32)
    if loaded.kind != "decoder":
        visible = torch.full((len(ids),), float(len(ids)))
    spread = -(pattern * pattern.clamp_min(1e-30).log()).sum(dim=-1)
    return AttentionResult(
        request={},
        stack=loaded.prompt_stack,
        tokens=pieces(loaded, ids),
        special=special(loaded, ids),
        layer=layer,
        head=head,
        pattern=(pattern * 255).round().to(torch.uint8).cpu().numpy(),
        uniform=(1 / visible).numpy(),
        entropy=spread.cpu().numpy(),
    )
