"""Which component of another model, put into this one, makes it say what the other says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import TOKENS_AT_ONCE, Progress
from core.engine.forward import run
from core.engine.readout import unembed
from core.engine.rows import repeated, rows
from core.engine.writes import write_matrix
from core.models.loaded import Loaded
from core.spec.interventions import Add, Control, Intervention
from core.spec.site import Site

N_CONTROLS = 3


@dataclass(frozen=True)
class Exchanged:
    """effect [component], control [component, draw], layers [layer + 1]: `core.results.flips`."""

    names: tuple[str, ...]
    effect: np.ndarray
    control: np.ndarray
    layers: np.ndarray


def lens(
    loaded: Loaded, ids: Sequence[int], pair: tuple[int, int], progress: Progress
) -> np.ndarray:
    """[layer + 1] log p(toward) - log p(away) behind the last token, as each layer would have it.

    pair  token ids of this model, (toward, away); NaN where it has no such token
    """
    last = len(ids) - 1
    sites = _stream(loaded, last)
    seen = run(loaded, rows(loaded, [list(ids)]), read=sites, logits="none", check=progress.check)
    if min(pair) < 0:
        return np.full(len(sites), np.nan)
    with loaded.busy(), torch.no_grad():
        said = unembed(loaded, torch.stack([seen.values[site][0, 0] for site in sites])).float()
    found: np.ndarray = (said[:, pair[0]] - said[:, pair[1]]).double().cpu().numpy()
    return found


def _stream(loaded: Loaded, position: int | None) -> list[Site]:
    layers = range(loaded.n_layers)
    return [
        Site(0, "resid_pre", position=position),
        *(Site(layer, "resid_post", position=position) for layer in layers),
    ]


def exchanged(
    loaded: Loaded,
    other: Loaded,
    ids: Sequence[int],
    pair: tuple[int, int],
    progress: Progress,
    seed: int,
) -> Exchanged:
    """Every component of the other model put in alone, at every token of the text.

    Putting a component in is adding, at each token, what it writes there minus what this model's
    own writes: up to this place nothing else has changed, so the sum is the other's exactly.
    """
    moved, stream = _moves(loaded, other, ids, progress)
    changes: list[Sequence[Intervention]] = [[]]
    for site, values in moved.values():
        own = _adding(site, values)
        changes.append(own)
        changes += [[Control(each, seed + draw) for each in own] for draw in range(N_CONTROLS)]
    changes += [_adding(site, values) for site, values in stream]
    margin = _margins(loaded, ids, changes, pair, progress)
    there = _margins(other, ids, [[]], pair, progress)[0]
    gap = there - margin[0]
    share = (margin - margin[0]) / gap if abs(gap) > 1e-9 else np.full(len(margin), np.nan)
    n = len(moved)
    parts = share[1 : 1 + n * (1 + N_CONTROLS)].reshape(n, 1 + N_CONTROLS)
    return Exchanged(tuple(moved), parts[:, 0], parts[:, 1:], share[1 + n * (1 + N_CONTROLS) :])


def _moves(
    loaded: Loaded, other: Loaded, ids: Sequence[int], progress: Progress
) -> tuple[dict[str, tuple[Site, Tensor]], list[tuple[Site, Tensor]]]:
    """(by component: where it writes and by how much it differs [token, d_model]; the stream)."""
    layers = range(loaded.n_layers)
    outs = [Site(layer, part) for layer in layers for part in ("attn_out", "mlp_out")]
    heads = [Site(layer, "head") for layer in layers] if _adds_up(loaded) else []
    stream = _stream(loaded, None)
    seen = [
        run(
            model, rows(model, [list(ids)]), read=[*stream, *outs, *heads], logits="none",
            check=progress.check,
        ).values
        for model in (loaded, other)
    ]  # fmt: skip
    apart = {site: (seen[1][site][0].float().cpu() - seen[0][site][0].float().cpu())
             for site in (*stream, *outs)}  # fmt: skip
    moved = {"embedding": (stream[0], apart[stream[0]])}
    moved |= {str(site): (site, apart[site]) for site in outs}
    with loaded.busy(), other.busy():
        for site in heads:
            wrote = [
                torch.einsum("thd,hdm->htm", seen[side][site][0].float(), write_matrix(model, site))
                for side, model in enumerate((loaded, other))
            ]
            scale = loaded.stacks[""].stream_scale
            change = (wrote[1].cpu() - wrote[0].cpu()) * scale
            place = Site(site.layer, "attn_out")
            moved |= {f"{site}[{head}]": (place, change[head]) for head in range(len(change))}
    return moved, [(site, apart[site]) for site in stream]


def _adds_up(loaded: Loaded) -> bool:
    """Is what attention adds to the stream the sum of what its heads write? Not behind a norm."""
    return all(block.post_attn is None for block in loaded.stacks[""].blocks)


def _adding(site: Site, values: Tensor) -> list[Add]:
    """Add a row of values at every token."""
    return [
        Add(Site(site.layer, site.component, position=token), tuple(row))
        for token, row in enumerate(values.tolist())
    ]


def _margins(
    loaded: Loaded,
    ids: Sequence[int],
    changes: Sequence[Sequence[Intervention]],
    pair: tuple[int, int],
    progress: Progress,
) -> np.ndarray:
    """[change] log p(toward) - log p(away) behind the last token."""
    row = rows(loaded, [list(ids)])
    size = max(1, TOKENS_AT_ONCE // len(ids))
    found = []
    for start in range(0, len(changes), size):
        part = changes[start : start + size]
        said = run(
            loaded, repeated(row, len(part)) if len(part) > 1 else row, change=part,
            logits=[len(ids) - 1], check=progress.check,
        ).logits  # fmt: skip
        assert said is not None
        last = said[:, -1].double()
        found.append((last[:, pair[0]] - last[:, pair[1]]).cpu().numpy())
    whole: np.ndarray = np.concatenate(found)
    return whole
