"""What any sites hold of many texts, one vector a text: heads, attention, MLP, stream."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.analyses.runs import Progress
from core.analyses.states import Position, of_like_length, token_weights
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.site import Site

HELD = 200_000_000  # numbers kept at a time, 800 MB


def available(loaded: Loaded, component: str) -> list[Site]:
    """That component of every block that reads the prompt; none where the model has no such one."""
    stack = loaded.prompt_stack
    found = [
        Site(layer, component, stack=stack)  # type: ignore[arg-type]
        for layer in range(len(loaded.stacks[stack].blocks))
    ]
    try:
        for site in found:
            loaded.check(site)
    except Error:
        return []
    return found


def width(loaded: Loaded, site: Site) -> int:
    """Numbers that a site holds of a token."""
    return loaded.width(site) * (loaded.d_head if site.component == "head" else 1)


def vectors(
    loaded: Loaded,
    progress: Progress,
    ids: Sequence[Sequence[int]],
    position: Position,
    sites: Sequence[Site],
    *,
    share: tuple[float, float],
    note: str = "reading the texts",
) -> dict[Site, Tensor]:
    """Every site at the position of every text, [text, d] float32, heads [text, head, d_head].

    position as in `states`: "last", "mean", "-2", ..., or one token index a text
    """
    total = sum(width(loaded, site) for site in sites)
    found: dict[Site, Tensor] = {}
    done = 0
    for batch in of_like_length(loaded, ids, -(-total // loaded.d_model)):
        progress.step(share[0] + (share[1] - share[0]) * done / len(ids), note)
        texts = [ids[index] for index in batch]
        seen = run(
            loaded, rows(loaded, texts), read=sites, logits="none", check=progress.check
        ).values
        here = position if isinstance(position, str) else [position[index] for index in batch]
        weight = token_weights(loaded, texts, [here]).of[0]
        for site in sites:
            values = seen[site].float()
            reduced = torch.einsum("rt,rt...->r...", weight.to(values), values).cpu()
            if site not in found:
                found[site] = torch.zeros(len(ids), *reduced.shape[1:])
            found[site][batch] = reduced
        done += len(batch)
    return found


def portions(loaded: Loaded, sites: Sequence[Site], n_texts: int) -> list[list[Site]]:
    """Sites that are read in one pass over the texts, so that what is kept stays bounded."""
    found: list[list[Site]] = [[]]
    kept = 0
    for site in sites:
        size = width(loaded, site) * n_texts
        if found[-1] and kept + size > HELD:
            found.append([])
            kept = 0
        found[-1].append(site)
        kept += size
    return found
