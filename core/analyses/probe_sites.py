"""Which heads and which sites carry a concept: a probe at every one of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from core.analyses import probe_cells as cells
from core.analyses.depth_floors import floors
from core.analyses.head_nulls import untrained as untrained_twin
from core.analyses.probe_asked import Sides, sides
from core.analyses.probe_cells import Case
from core.analyses.runs import Progress, Silent
from core.analyses.site_vectors import available, portions, vectors
from core.models.loaded import Loaded
from core.results.probe_sites import FAMILIES, ProbeSites
from core.spec.errors import Error
from core.spec.site import Site

SHUFFLES = 40
COMPONENTS = ("head", "attn_out", "resid_mid", "mlp_in", "mlp_out", "resid_post")
EMBEDDING = "embedding"
_READING = 0.4  # share of a portion's time that reading takes


def probe_sites(
    loaded: Loaded,
    progress: Progress,
    *,
    labelled: Any = "",
    concept: Any = "",
    texts: Sequence[str] = (),
    labels: Sequence[Any] = (),
    groups: Sequence[Any] | None = None,
    words: Sequence[str] | str = (),
    positive: str = "",
    position: str = "",
    parts: Sequence[str] = COMPONENTS,
    folds: int = 5,
    shuffles: int = SHUFFLES,
    seed: int = 0,
    too_long: str = "cut",
    untrained: bool = False,
) -> ProbeSites:
    """A ridge probe of every head's output and of every site of the stream, on the same folds.

    labelled, concept, texts with labels and groups, positive, position: as in `probe_family`
    parts      which components: "head", "attn_out", "resid_mid", "mlp_in", "mlp_out", "resid_post"
    shuffles   of the labels; what the best cell reaches on them is what a cell has to pass
    untrained  the same on fresh weights

    After Zhu et al. 2024, "Language Models Represent Beliefs of Self and Others" (repository
    Walter0807/RepBelief), with groups held out and the largest of all cells as its null.
    """
    wanted = [parts] if isinstance(parts, str) else list(parts)
    if strange := [part for part in wanted if part not in COMPONENTS] or (not wanted and [""]):
        raise Error(f"no part {str(strange[0])[:40]!r}; there are {', '.join(COMPONENTS)}")
    one = sides(
        loaded, labelled=labelled, concept=concept, texts=texts, labels=labels, groups=groups,
        words=words, positive=positive, position=position, too_long=too_long, folds=folds,
        seed=seed,
    )  # fmt: skip
    asked = cells.case(one.label, one.group, one.fold, shuffles, seed)
    places = _places(loaded, wanted)
    if not places:
        raise Error(f"{loaded.name} has none of {', '.join(wanted)}")
    found = _probed(loaded, progress, one, asked, places, (0.0, 0.7 if untrained else 1.0))
    notes, fresh = list(one.notes), np.full(len(found["auc"]), np.nan)
    if untrained:
        twin, why = untrained_twin(loaded, 0)
        if twin is None:
            notes.append(why)
        else:
            progress.step(0.7, "fresh weights")
            only = replace(asked, sets=asked.sets[:, :1])
            fresh = _probed(twin, Silent(), one, only, places, (0.7, 1.0))["auc"]
    return _result(loaded, one, asked, found, fresh, notes, wanted, seed)


def _places(loaded: Loaded, wanted: Sequence[str]) -> list[Site]:
    """The sites, layer by layer, the embedding in front of the stream's."""
    found = [site for part in wanted for site in available(loaded, part)]
    if any(part != "head" for part in wanted):
        found.append(Site(0, "resid_pre", stack=loaded.prompt_stack))
    order = ("resid_pre", *COMPONENTS)
    return sorted(found, key=lambda site: (site.layer, order.index(site.component)))


def _probed(
    loaded: Loaded,
    progress: Progress,
    one: Sides,
    asked: Case,
    places: Sequence[Site],
    share: tuple[float, float],
) -> dict[str, Any]:
    """Every cell of these places: site, component, scores; and the gaps by component."""
    drawn, parts = cells.draws(asked, 0), portions(loaded, places, len(one.label))
    kept: list[tuple[Site, cells.Read]] = []
    gaps: dict[str, list[np.ndarray]] = {}
    width = (share[1] - share[0]) / len(parts)
    for number, part in enumerate(parts):
        start = share[0] + number * width
        middle = start + _READING * width
        seen = vectors(
            loaded, progress, one.read.ids, one.read.position, part, share=(start, middle)
        )
        for at, (site, values) in enumerate(seen.items()):
            progress.step(middle + (1 - _READING) * width * at / len(part), f"probes at {site}")
            gap = values[asked.label == 1].mean(0) - values[asked.label == 0].mean(0)
            gaps.setdefault(_component(site), []).append(gap.numpy())
            for place, x in _cells(site, values):
                progress.check()
                kept.append((place, cells.read(x, asked, drawn)))
    return _laid_out(kept, gaps)


def _component(site: Site) -> str:
    return EMBEDDING if site.component == "resid_pre" else site.component


def _cells(site: Site, values: Tensor) -> list[tuple[Site, Tensor]]:
    """The heads of a site, or the site itself, with the states [text, d] of each."""
    if site.component != "head":
        return [(site, values)]
    return [(replace(site, unit=head), values[:, head]) for head in range(values.shape[1])]


def _laid_out(
    kept: Sequence[tuple[Site, cells.Read]], gaps: dict[str, list[np.ndarray]]
) -> dict[str, Any]:
    read = [one for _, one in kept]
    return {
        "sites": [site for site, _ in kept],
        "auc": np.array([one.auc for one in read]),
        "auc_low": np.array([one.low for one in read]),
        "auc_high": np.array([one.high for one in read]),
        "accuracy": np.array([one.accuracy for one in read]),
        "control_auc": np.stack([one.control for one in read], axis=1),
        "folds": np.stack([one.folds for one in read], axis=-1),  # [fold, set, cell]
        "gaps": {name: np.stack(rows) for name, rows in gaps.items()},
    }


def _result(
    loaded: Loaded,
    one: Sides,
    asked: Case,
    found: dict[str, Any],
    fresh: np.ndarray,
    notes: Sequence[str],
    wanted: Sequence[str],
    seed: int,
) -> ProbeSites:
    sites: list[Site] = found.pop("sites")
    folds = found.pop("folds")
    heads = np.array([site.component == "head" for site in sites])
    n_shuffles = asked.sets.shape[1] - 1
    missing = [name for name in wanted if not any(site.component == name for site in sites)]
    many = _of_many(heads, folds, found["auc"], found["control_auc"])
    _, words = floors(one.given.texts, one.read.types, one.label, one.fold, 2)
    return ProbeSites(
        request={},
        concept=one.given.name,
        about=one.given.about,
        source=one.given.source,
        positive=one.positive,
        negative=one.negative,
        position=one.read.asked,
        stack=loaded.prompt_stack,
        seed=seed,
        grouped=bool(one.given.groups),
        n_texts=len(one.label),
        n_positive=int(one.label.sum()),
        n_groups=len(np.unique(one.group)),
        n_folds=one.n_folds,
        n_shuffles=n_shuffles,
        n_layers=len(loaded.stacks[loaded.prompt_stack].blocks),
        n_heads=loaded.n_heads,
        cells=tuple(str(site) for site in sites),
        components=tuple(_component(site) for site in sites),
        notes=(*notes, *(f"this model has no {name}" for name in missing)),
        layer=np.array([site.layer for site in sites]),
        unit=np.array([-1 if site.unit is None else site.unit for site in sites]),
        untrained_auc=fresh,
        floor_auc=words,
        **many,
        **found,
    )


def _of_many(
    heads: np.ndarray, folds: np.ndarray, auc: np.ndarray, control: np.ndarray
) -> dict[str, Any]:
    """What choosing the best of many cells comes to, heads and other sites apart.

    heads [cell] bool, folds [fold, set, cell], auc [cell], control [shuffle, cell]
    """
    n_shuffles, n = control.shape
    most, p = np.full((len(FAMILIES), n_shuffles), np.nan), np.full(n, np.nan)
    nested = np.full((len(FAMILIES), 1 + n_shuffles), np.nan)
    for row, here in enumerate((heads, ~heads)):
        if here.any():
            most[row] = np.nanmax(control[:, here], axis=1)
            p[here] = cells.beyond(auc[here], most[row])
            nested[row] = cells.chosen_elsewhere(folds[:, :, here])
    return {"most": most, "p": p, "nested": nested[:, 0], "nested_control": nested[:, 1:]}
