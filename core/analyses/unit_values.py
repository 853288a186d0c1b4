"""What one unit does on one text: its activation at every token."""

from collections.abc import Sequence

import torch

from core.analyses.runs import Progress, prompt_rows
from core.engine.forward import run
from core.engine.rows import repeated
from core.models.loaded import Loaded
from core.models.tokens import pieces, special
from core.results.unit_values import UnitValues
from core.spec.errors import Error
from core.spec.interventions import Change
from core.spec.site import HEADS, PATTERNS, Site, site


def unit_values(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    at: str,
    interventions: Sequence[Change] = (),
) -> UnitValues:
    """Activation of one unit at every token, clean and under the interventions.

    `at` names a unit with one value a token: a neuron, its gate or up projection, a coordinate of
    the stream. The forward stops behind its layer. Control: the median |activation| of the other
    units of the layer at the same token.
    """
    place = site(at)
    if place.unit is None or place.component in (*HEADS, *PATTERNS) or place.dictionary:
        raise Error(f"{place}: name one unit with one value a token, e.g. L2.neuron[17]")
    one = Site(place.layer, place.component, place.unit, stack=place.stack)
    loaded.check(one)
    prompt, ids = prompt_rows(loaded, text)
    changes = [[], list(interventions)] if interventions else [[]]
    rows = repeated(prompt, 2) if interventions else prompt
    whole = one.whole()
    seen = run(loaded, rows, read=[whole], change=changes, logits="none", check=progress.check)
    values = seen.values[whole].float()
    others = torch.ones(values.shape[-1], dtype=torch.bool, device=values.device)
    others[one.unit] = False
    return UnitValues(
        request={},
        site=str(one),
        tokens=pieces(loaded, ids),
        special=special(loaded, ids),
        n_others=int(others.sum()),
        clean=values[0, :, one.unit].cpu().numpy(),
        value=values[-1, :, one.unit].cpu().numpy(),
        typical=values[0][:, others].abs().median(dim=-1).values.cpu().numpy(),
    )
