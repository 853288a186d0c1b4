"""How large values get: observed maxima over the reference text."""

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress
from core.corpus.reference import reference_chunks
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.results.scale import ScaleResult
from core.spec.site import Site, site

QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)


def scale(loaded: Loaded, progress: Progress, *, at: str) -> ScaleResult:
    """Observed maximum and quantiles of |value| at one site over the reference text.

    The position of the site is left out: every token counts. Units: those of the activation.
    """
    place = site(at)
    wanted = Site(place.layer, place.component, place.unit, None, place.dictionary, place.stack)
    loaded.check(wanted)
    values, n_tokens = [], 0
    chunks = reference_chunks(loaded)
    for number, chunk in enumerate(chunks):
        progress.step(number / len(chunks), f"reference text, part {number + 1} of {len(chunks)}")
        seen = run(
            loaded, rows(loaded, [chunk]), read=[wanted], logits="none", check=progress.check
        )
        values.append(seen.values[wanted].abs().float().flatten().cpu())
        n_tokens += len(chunk)
    sizes = np.quantile(torch.cat(values).numpy(), QUANTILES)
    return ScaleResult(
        request={}, site=str(wanted), unit=float(sizes[-1]), n_tokens=n_tokens, quantiles=sizes
    )


def neuron_sites(loaded: Loaded) -> list[Site]:
    """The neurons of every layer that reads the prompt."""
    stack = loaded.prompt_stack
    return [Site(n, "neuron", stack=stack) for n in range(len(loaded.stacks[stack].blocks))]


def neuron_peaks(loaded: Loaded, progress: Progress) -> tuple[list[Tensor], int]:
    """Observed maximum of |activation| of every neuron: a [neuron] per layer, and the tokens seen.

    One pass over the reference text that keeps running maxima; done once per model.
    """
    if "neuron_peaks" not in loaded.memo:
        sites = neuron_sites(loaded)
        peaks = [torch.zeros(loaded.d_mlp) for _ in sites]
        chunks = reference_chunks(loaded)
        for number, chunk in enumerate(chunks):
            progress.step(number / len(chunks), "observed maxima on the reference text, once")
            seen = run(
                loaded, rows(loaded, [chunk]), read=sites, logits="none", check=progress.check
            )
            for peak, place in zip(peaks, sites, strict=True):
                largest = seen.values[place][0].abs().amax(dim=0).float().cpu()
                torch.maximum(peak, largest, out=peak)
        loaded.memo["neuron_peaks"] = (peaks, sum(map(len, chunks)))
    found: tuple[list[Tensor], int] = loaded.memo["neuron_peaks"]
    return found
