"""What one head takes from each token of a text, and what that says about the answer."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.analyses.head_asked import N_RANDOM, Asked, ask_heads, random_readings
from core.analyses.runs import Progress
from core.engine.forward import run
from core.engine.head_probe import head_weights
from core.engine.head_weights import heads_of, scaled
from core.models.loaded import Loaded
from core.models.tokens import pieces, special
from core.results.head_sources import HeadSources
from core.spec.interventions import Change
from core.spec.site import Site

RANGE = (0.025, 0.975)


def head_sources(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    layer: int,
    head: int,
    interventions: Sequence[Change] = (),
    position: int | None = None,
    answer: str | int = "",
    against: str | int = "",
    seed: int = 0,
) -> HeadSources:
    """One head's direct effect on the answer, split over the tokens it looks at from `position`.

    weight[k] x (value[k] . reading): what the head adds to the logit of the answer (the most
    probable token, or `answer`) against `against` (the mean of the vocabulary), the norms behind
    the attention and at the end held as they are.
    """
    place = Site(layer, "head", head, stack=loaded.prompt_stack)
    loaded.check(place)
    loaded.check(Site(layer, "pattern", head, stack=loaded.prompt_stack))
    asked = ask_heads(loaded, progress, text, interventions, position, answer, against)
    weight, value, write = _seen(asked, place)
    own = 0 if not asked.why_not else asked.place
    reading = asked.readings[layer][own, head]
    low = high = torch.full_like(weight, torch.nan)
    if not asked.why_not:
        others = weight * (random_readings(asked, layer, seed)[:, head] @ value.T)
        low, high = others.quantile(torch.tensor(RANGE, device=others.device), dim=0)
    arrays = {
        "weight": weight,
        "size": weight * torch.linalg.vector_norm(value @ write, dim=-1),
        "attribution": weight * (value @ reading),
        "random_low": low,
        "random_high": high,
    }
    return HeadSources(
        request={},
        site=str(place),
        tokens=pieces(loaded, asked.ids),
        special=special(loaded, asked.ids),
        position=asked.place,
        answer=asked.answer,
        against=asked.against,
        kind="gradient" if asked.why_not else "direct",
        why_not=asked.why_not,
        n_random=0 if asked.why_not else N_RANDOM,
        whole=float(asked.z[layer][own, head] @ reading),
        **{name: tensor.cpu().numpy() for name, tensor in arrays.items()},
    )


def _seen(asked: Asked, place: Site) -> tuple[Tensor, Tensor, Tensor]:
    """The head's weights [key] at the asked token, values [key, d_head] and write [d_head, d]."""
    loaded, head = asked.loaded, place.unit or 0
    pattern = Site(place.layer, "pattern", head, asked.place, stack=place.stack)
    stream = Site(place.layer, "resid_pre", stack=place.stack)
    seen = run(
        loaded,
        asked.prompt,
        read=[pattern, stream],
        change=[asked.base],
        logits="none",
        check=asked.progress.check,
    ).values
    with loaded.busy():
        maps = head_weights(loaded, place.layer, place.stack)
        group = maps.kv(head)
        x = scaled(loaded, place.layer, seen[stream][0].float(), place.stack)
        value = heads_of(x, maps.v[group : group + 1], maps.b_v[group : group + 1])[:, 0]
    return seen[pattern][0, 0].float(), value, maps.o[head]
