"""Heads ranked for a concept: by the share of its projection that goes without them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from core.analyses import head_concept
from core.analyses.given import against as other_side
from core.analyses.head_concept import aimed, halves, handed
from core.analyses.head_concept_runs import N_CONTROLS, Texts
from core.analyses.runs import Progress
from core.models.loaded import Loaded
from core.results.head_ranking import HeadRanking
from core.spec.concept import Concept
from core.spec.errors import Error
from core.spec.interventions import Change

N_RANDOM = 20  # random directions
QUANTILE = 0.95  # of them: a score beyond it is more than chance
NAN = float("nan")


def concept_ranking(
    loaded: Loaded,
    progress: Progress,
    meant: Concept,
    position: str,
    change: Sequence[Change],
    direction: Sequence[float],
    layer: int | None,
    to: str,
    most: int,
    seed: int,
) -> HeadRanking:
    texts, built, what = _asked(loaded, progress, meant, position, change, direction, layer, seed)
    aim, member = texts.aim, texts.member
    wrote, read = _written(texts, seed), _read(texts, seed)
    effect, control = _needed(texts, _strongest(wrote["columns"]["share"], most), to, wrote["gap"])
    columns = {**wrote["columns"], **read["columns"]}
    nulls = {**wrote["nulls"], **read["nulls"]}
    whole = len(loaded.stacks[loaded.prompt_stack].blocks)
    return HeadRanking(
        request={},
        kind="concept",
        about=meant.name,
        sides=(f"positive texts of {meant.name}", what),
        unit="share of the gap",
        to=to,
        position=position,
        layer=aim.layer,
        separation=head_concept.separation(wrote["whole"], member),
        n_built=built,
        n_texts=len(member),
        n_controls=N_CONTROLS,
        n_random=N_RANDOM,
        notes=(*wrote["notes"], *read["notes"]),
        effect=_padded(effect, whole),
        control=_padded(control, whole),
        columns={name: _padded(values, whole) for name, values in columns.items()},
        nulls={name: _padded(values, whole) for name, values in nulls.items()},
        agreement=agreement(effect, columns),
        **{name: wrote[name] for name in ("gap", "start", "attention", "mlp")},
        stack=loaded.prompt_stack,
    )


def _asked(
    loaded: Loaded,
    progress: Progress,
    meant: Concept,
    position: str,
    change: Sequence[Change],
    direction: Sequence[float],
    layer: int | None,
    seed: int,
) -> tuple[Texts, tuple[int, int], str]:
    """The texts that are looked at, how many built the direction, what those without it are."""
    downs, what = other_side(meant)
    build, look = halves(len(meant.positive), len(downs), meant.paired, seed)
    built, seen = (
        ([meant.positive[i] for i in half[0]], [downs[i] for i in half[1]])
        for half in (build, look)
    )
    member = np.arange(len(seen[0]) + len(seen[1])) < len(seen[0])
    if len(direction):
        n_layers = len(loaded.stacks[loaded.prompt_stack].blocks)
        aim, n_built = handed(direction, n_layers, loaded.d_model, layer), (0, 0)
    else:
        up, down = built
        aim = aimed(loaded, progress, up, down, meant.paired, position, change, layer, seed)
        n_built = (len(built[0]), len(built[1]))
    texts = Texts(loaded, progress, [*seen[0], *seen[1]], member, position, change, aim)
    return texts, n_built, what


def _needed(
    texts: Texts, heads: Sequence[tuple[int, int]], to: str, gap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Share of the gap that goes with each of these heads, and with its controls, [layer, head]."""
    after, moved = texts.ablated(heads, to)
    effect, control = (np.full(texts.mean.shape[:2], np.nan) for _ in range(2))
    place = tuple(np.array(heads).T)
    effect[place] = 1 - head_concept.gap(after.double().numpy().T, texts.member) / gap
    control[place] = 1 - head_concept.gap(moved.double().numpy().T, texts.member) / gap
    return effect, control


def _written(texts: Texts, seed: int) -> dict[str, Any]:
    """Write scores of all heads up to the direction's layer, beside random directions."""
    generator = torch.Generator().manual_seed(seed + 1)
    random = torch.randn(N_RANDOM, texts.loaded.d_model, generator=generator)
    reads = torch.cat([texts.aim.vector[None], random / random.norm(dim=-1, keepdim=True)])
    along, rest = texts.projected(reads.to(texts.loaded.device))
    values, member = along.double().numpy(), texts.member
    whole = rest["whole"].double().numpy()
    gap = float(head_concept.gap(whole, member))
    if not abs(gap) > 1e-9:
        raise Error("both sets of texts lie at one place along the direction; nothing to rank")
    scores = [head_concept.write_scores(each, member) for each in values]
    shares = [head_concept.gap(each, member) / gap for each in values]
    apart, area = (np.stack([score[i] for score in scores]) for i in (0, 1))
    size = np.abs(area - 0.5) + 0.5

    def chance(values_: Any) -> np.ndarray:
        found: np.ndarray = np.quantile(np.abs(values_[1:]), QUANTILE, axis=0)
        return found

    stack = texts.loaded.stacks[texts.stack]
    adds_up = not any(block.norm_after for block in stack.blocks)
    parts = {name: head_concept.gap(rest[name].double().numpy(), member) / gap for name in rest}
    nan = np.full_like(parts["attention"], np.nan)
    return {
        "gap": gap,
        "whole": whole,
        "start": float(parts["start"]) if adds_up else NAN,
        "attention": parts["attention"] if adds_up else nan,
        "mlp": parts["mlp"] if adds_up else nan,
        "columns": {"d_prime": apart[0], "auc": area[0], "share": shares[0]},
        "nulls": {"d_prime": chance(apart), "auc": chance(size), "share": chance(np.stack(shares))},
        "notes": () if adds_up else ("norms act on the stream itself: shares do not add up to 1",),
    }


def _read(texts: Texts, seed: int) -> dict[str, Any]:
    """Read scores: attention to tokens of the concept, and the gain of the value path."""
    columns: dict[str, np.ndarray] = {}
    nulls: dict[str, np.ndarray] = {}
    notes = []
    if not texts.loaded.pattern_source:
        notes.append("this model hands out no attention patterns, so none to the concept's tokens")
    elif torch.isfinite(texts.aim.middles).all():
        mass, uniform = texts.looked()
        chance = np.repeat(uniform[:, None], mass.shape[1], axis=1)
        columns["read_mass"], nulls["read_mass"] = mass, chance
        columns["read_lift"] = np.where(chance > 0, mass / np.where(chance > 0, chance, 1), np.nan)
    try:
        found = head_concept.taken_in(texts.loaded, texts.aim, seed)
        columns |= {f"read_{name}": values for name, values in found.items()}
    except Error as fault:
        notes.append(str(fault))
    return {"columns": columns, "nulls": nulls, "notes": tuple(notes)}


def _strongest(share: np.ndarray, most: int) -> list[tuple[int, int]]:
    """(layer, head) of the heads that write most of the concept, at most that many."""
    if not isinstance(most, int) or most < 1:
        raise Error(f"most= is how many heads are ablated, at least 1, not {most!r:.20}")
    order = np.argsort(-np.abs(share).ravel(), kind="stable")[:most]
    return sorted((int(at) // share.shape[1], int(at) % share.shape[1]) for at in order)


def _padded(values: np.ndarray, n_layers: int) -> np.ndarray:
    """[layer, head] with NaN for the layers behind the direction."""
    found = np.full((n_layers, values.shape[1]), np.nan)
    found[: len(values)] = values
    return found


def agreement(effect: np.ndarray, columns: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Spearman between |effect| and each column's size, over the heads that have both."""
    from scipy.stats import spearmanr  # slow to import

    found = {}
    for name, values in columns.items():
        size = np.abs(values - 0.5) if name == "auc" else np.abs(values)
        both = np.isfinite(effect) & np.isfinite(size)
        one, other = np.abs(effect)[both], size[both]
        if len(one) > 2 and one.std() > 0 and other.std() > 0:
            found[name] = float(spearmanr(one, other).statistic)
    return found
