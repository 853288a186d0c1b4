"""Single neurons and coordinates as detectors of target tokens: the baseline of features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.analyses.neuron_gallery import n_batch_tokens
from core.analyses.runs import Progress
from core.corpus.chunks import Contexts
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.spec.interventions import Intervention
from core.spec.site import Site
from kernels.top_examples.reference import histogram
from kernels.top_examples.state import BINS


@dataclass(frozen=True)
class Detector:
    """The best unit of a site: chosen on half A, all numbers of half B."""

    site: Site
    precision: float  # at the recall asked for
    recall: float
    f1: float  # of the unit that is best by F1, at its own threshold


def detectors(
    loaded: Loaded,
    progress: Progress,
    made: Contexts,
    sites: Sequence[Site],
    mask: np.ndarray,
    half: np.ndarray,
    recall: float,
    *,
    interventions: Sequence[Intervention] = (),
    span: tuple[float, float] = (0.5, 1.0),
) -> list[Detector]:
    """The best unit of each site in one pass over the corpus.

    mask, half [token] over the windows one after another: target tokens, half of the document.
    A unit fires above a threshold or below minus one (edges of quarter octaves).
    """
    starts = np.cumsum([0, *(len(window.ids) for window in made.windows)])
    counts: list[list[Tensor]] = [[] for _ in sites]
    batches = made.batches(n_batch_tokens(loaded, len(sites)))
    for number, batch in enumerate(batches):
        share = span[0] + (span[1] - span[0]) * number / len(batches)
        progress.step(share, f"neurons and coordinates, part {number + 1} of {len(batches)}")
        given = rows(loaded, [made.windows[at].ids for at in batch])
        seen = run(
            loaded,
            given,
            read=list(sites),
            change=[interventions],
            logits="none",
            check=progress.check,
        )
        keep = torch.from_numpy(made.keep_mask(batch, given.ids.shape[1])).to(loaded.device)
        place = np.concatenate([starts[at] + np.flatnonzero(made.windows[at].keep) for at in batch])
        group = torch.from_numpy(2 * half[place].astype(np.int64) + mask[place]).to(loaded.device)
        with loaded.busy():
            for at, site in enumerate(sites):
                values = seen.values[site][keep].float()
                found = torch.stack([_counts(values[group == one]) for one in range(4)])
                counts[at] = [found if not counts[at] else counts[at][0] + found]
    return [_best(site, one[0], recall) for site, one in zip(sites, counts, strict=True)]


def _counts(values: Tensor) -> Tensor:
    """[unit, bin] on the CPU."""
    if not len(values):
        return torch.zeros(values.shape[1], 2 * BINS + 1, dtype=torch.int64)
    return histogram(values).cpu().long()


def _best(site: Site, counts: Tensor, recall: float) -> Detector:
    """counts [half x 2 + target, unit, bin]."""
    both = torch.cat([counts, counts.flip(2)], dim=1).double()  # above, then below minus
    above = both.flip(2).cumsum(2).flip(2)[..., BINS + 1 :]  # [group, unit, threshold]
    total = both.sum(2)  # [group, unit]
    hits, false = above[[1, 3]], above[[0, 2]]  # [half, unit, threshold]
    n = total[[1, 3]][:, :, None]
    precision, share = hits / (hits + false).clamp_min(1), hits / n.clamp_min(1)
    f1 = 2 * hits / (hits + false + n).clamp_min(1)
    reached = share[0] >= recall
    # The highest threshold that still reaches the recall, else the lowest there is.
    place = (reached.cumsum(1).argmax(1)).where(reached.any(1), torch.zeros(len(reached)).long())
    own = precision[0].gather(1, place[:, None])[:, 0].where(reached.any(1), torch.tensor(-1.0))
    unit = int(own.argmax())
    by_f1 = int(f1[0].max(1).values.argmax())
    at = int(f1[0, by_f1].argmax())
    n_units = counts.shape[1]
    return Detector(
        Site(site.layer, site.component, unit % n_units, stack=site.stack),
        float(precision[1, unit, place[unit]]),
        float(share[1, unit, place[unit]]),
        float(f1[1, by_f1, at]),
    )
