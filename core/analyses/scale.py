"""How large values get: observed maxima, percentiles and natural ranges over the reference text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress
from core.corpus.reference import reference_chunks
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.results.scale import ScaleResult
from core.spec.errors import Error
from core.spec.site import NEURONS, Site, site

QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)
STRENGTH = 0.999  # the quantile of |value| that strengths are counted in


@dataclass(frozen=True)
class UnitScales:
    """Of every unit of one layer, [unit] each: see `core.results.scale`."""

    peak: Tensor
    p999: Tensor
    low: Tensor
    high: Tensor
    mean: Tensor
    n_tokens: int


def scale(
    loaded: Loaded, progress: Progress, *, at: str, direction: Sequence[float] = ()
) -> ScaleResult:
    """Observed maximum, percentiles and natural range of a site's values over the reference text.

    The position of the site is left out: every token counts. Units: those of the activation; with
    a `direction`, normalised first, those of the stream along it.
    """
    key = ("scale", site(at), tuple(direction))
    if key not in loaded.memo:
        loaded.memo[key] = _scale(loaded, progress, site(at), direction)
    found: ScaleResult = loaded.memo[key]
    return found


def _scale(
    loaded: Loaded, progress: Progress, place: Site, direction: Sequence[float]
) -> ScaleResult:
    wanted = Site(place.layer, place.component, place.unit, None, place.dictionary, place.stack)
    loaded.check(wanted)
    parts = []
    chunks = reference_chunks(loaded)
    for number, chunk in enumerate(chunks):
        progress.step(number / len(chunks), f"reference text, part {number + 1} of {len(chunks)}")
        text = rows(loaded, [chunk])
        seen = run(loaded, text, read=[wanted], logits="none", check=progress.check)
        parts.append(seen.values[wanted][0].float().flatten(1 if place.unit is None else 0).cpu())
    lengths = [part.norm(dim=-1) for part in parts if part.ndim > 1]
    if len(direction):
        parts = [_along(part, direction, wanted) for part in parts]
    later = torch.cat([part[1:].flatten() for part in parts])
    every = torch.cat([part.flatten() for part in parts])
    mean = float(later.mean())
    centre = mean if len(direction) else 0.0
    sizes = np.quantile((every - centre).abs().numpy(), QUANTILES)
    return ScaleResult(
        request={},
        site=str(wanted),
        along=len(direction) > 0,
        unit=float(sizes[-1]),
        p999=float(np.quantile((later - centre).abs().numpy(), STRENGTH)),
        low=float(later.min()),
        high=float(later.max()),
        mean=mean,
        stream=float(torch.cat([part[1:] for part in lengths]).mean()) if lengths else 0.0,
        n_tokens=sum(map(len, chunks)),
        quantiles=sizes,
    )


def _along(values: Tensor, direction: Sequence[float], place: Site) -> Tensor:
    vector = torch.tensor(direction, dtype=torch.float32)
    if values.ndim < 2 or values.shape[-1] != len(vector):
        width = values.shape[-1] if values.ndim > 1 else 1
        raise Error(f"{place}: the direction has {len(vector)} numbers, the site {width}")
    if not vector.any():
        raise Error(f"{place}: a direction of length zero has no scale")
    return values @ (vector / vector.norm())


def neuron_sites(loaded: Loaded) -> list[Site]:
    """The neurons of every layer that reads the prompt."""
    stack = loaded.prompt_stack
    return [Site(n, "neuron", stack=stack) for n in range(len(loaded.stacks[stack].blocks))]


def neuron_peaks(loaded: Loaded, progress: Progress) -> tuple[list[Tensor], int]:
    """Observed maximum of |activation| of every neuron: a [neuron] per layer, and the tokens seen.

    One pass over the reference text that keeps running maxima; done once per model.
    """
    scales = unit_scales(loaded, progress, neuron_sites(loaded))
    return [scale.peak for scale in scales], scales[0].n_tokens


def unit_scales(loaded: Loaded, progress: Progress, sites: Sequence[Site]) -> list[UnitScales]:
    """The scales of every unit at whole neuron, up or gate sites; those not known in one pass.

    Running extremes only: nothing of size [token, unit] is held for the whole text.
    """
    new = [place for place in sites if ("units", place) not in loaded.memo]
    if any(place.component not in NEURONS or place != place.whole() for place in new):
        raise Error("scales of every unit are those of whole neuron, up or gate sites")
    if new:
        loaded.memo |= {("units", place): found for place, found in _pass(loaded, progress, new)}
    return [loaded.memo["units", place] for place in sites]


def _pass(
    loaded: Loaded, progress: Progress, sites: Sequence[Site]
) -> list[tuple[Site, UnitScales]]:
    chunks = reference_chunks(loaded)
    n_later = sum(len(chunk) - 1 for chunk in chunks)
    running = [_Running(loaded.d_mlp, n_later) for _ in sites]
    for number, chunk in enumerate(chunks):
        progress.step(number / len(chunks), "observed maxima on the reference text, once")
        text = rows(loaded, [chunk])
        seen = run(loaded, text, read=sites, logits="none", check=progress.check)
        for place, one in zip(sites, running, strict=True):
            one.add(seen.values[place][0].float().cpu())
    n_tokens = sum(map(len, chunks))
    return [(place, one.done(n_tokens)) for place, one in zip(sites, running, strict=True)]


class _Running:
    """Extremes of every unit while the text goes by; its first tokens count for the peak alone."""

    def __init__(self, width: int, n_later: int) -> None:
        self.n = n_later
        # How many of the largest are above the quantile, as numpy.quantile interpolates it.
        self.above = (1 - STRENGTH) * (n_later - 1)
        self.top = torch.zeros(math.floor(self.above) + 2, width)
        self.peak, self.sum = torch.zeros(width), torch.zeros(width, dtype=torch.float64)
        self.low, self.high = torch.full((width,), math.inf), torch.full((width,), -math.inf)

    def add(self, values: Tensor) -> None:
        """values [token, unit] of one text."""
        sizes = values.abs()
        self.peak = torch.maximum(self.peak, sizes.amax(dim=0))
        later = values[1:]
        self.low = torch.minimum(self.low, later.amin(dim=0))
        self.high = torch.maximum(self.high, later.amax(dim=0))
        self.sum += later.double().sum(dim=0)
        self.top = torch.cat([self.top, sizes[1:]]).topk(len(self.top), dim=0).values

    def done(self, n_tokens: int) -> UnitScales:
        whole = math.floor(self.above)
        share = self.above - whole
        p999 = self.top[whole] * (1 - share) + self.top[whole + 1] * share
        mean = (self.sum / max(1, self.n)).float()
        return UnitScales(self.peak, p999, self.low, self.high, mean, n_tokens)
