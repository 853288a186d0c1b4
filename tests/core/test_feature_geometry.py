"""The shape of the cloud against planted ones: isotropic, a power law, two blocks."""

import numpy as np
import pytest
import torch

from core import api
from core.analyses.feature_geometry import (
    AFFINITIES,
    _agreement,
    _lobes,
    alike,
    clustering,
    parts,
    placed,
    slope,
    spectrum,
)
from core.analyses.runs import Silent
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.spec.errors import Error


def blocks(noise: float = 0.05) -> tuple[torch.Tensor, torch.Tensor]:
    """Features 0 to 29 fire in texts of one kind, 30 to 59 of the other; [block, feature]."""
    generator = torch.Generator().manual_seed(0)
    kind = torch.arange(200) % 2
    own = torch.arange(60) // 30
    chance = torch.where(kind[:, None] == own[None], 0.6, noise)
    return torch.rand(200, 60, generator=generator) < chance, own


def cloud(own: torch.Tensor | None, n: int = 60) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(n, 16, generator=generator)
    if own is not None:
        rows += 4 * torch.randn(2, 16, generator=generator)[own]
    return rows / rows.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("affinity", AFFINITIES)
def test_two_planted_blocks_are_two_lobes_that_lie_together(affinity: str) -> None:
    fires, own = blocks()
    lobe = parts(placed(alike(fires, affinity)), 2, 0)
    assert len(set(zip(lobe.tolist(), own.tolist(), strict=True))) == 2
    found = _lobes(Silent(), fires, cloud(own), affinity, 0)
    assert found["k"][0] == 2
    assert found["ami"][0] > 0.9
    assert found["p"][0] < 0.01
    assert found["accuracy"][0] > 0.95
    assert found["chance"][0] < 0.8


def test_isotropic_rows_do_not_agree_with_lobes() -> None:
    fires, _ = blocks()
    found = _lobes(Silent(), fires, cloud(None), "phi", 0)
    assert abs(found["ami"][0]) < 0.1
    assert found["p"][0] > 0.05


def test_affinities_by_hand() -> None:
    fires = torch.tensor([[1, 1], [1, 0], [0, 1], [0, 0], [1, 1]]).bool()
    wanted = {"jaccard": 2 / 4, "dice": 4 / 6, "matching": 3 / 5, "phi": 1 + (5 * 2 - 9) / 6}
    for name, value in wanted.items():
        assert float(alike(fires, name)[0, 1]) == pytest.approx(value)
    joint = np.array([[2, 1], [1, 1]]) / 5
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    value = (joint * np.log(joint / apart)).sum()
    assert float(alike(fires, "information")[0, 1]) == pytest.approx(value)
    against = torch.stack([fires[:, 0], ~fires[:, 0]], dim=1)
    assert float(alike(against, "information")[0, 1]) == 0


def test_the_slope_of_a_power_law_is_found_and_isotropic_rows_have_none() -> None:
    values = torch.arange(1, 65, dtype=torch.float64) ** -1.5
    assert slope(values) == pytest.approx(-1.5)
    rows = torch.randn(20_000, 64, generator=torch.Generator().manual_seed(0))
    assert abs(slope(spectrum(rows))) < 0.1
    assert float(spectrum(rows).sum()) == pytest.approx(1)


def test_clusters_have_less_entropy_than_a_gaussian_of_their_covariance() -> None:
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(1_000, 8, generator=generator)
    lumps = torch.randn(20, 8, generator=generator).repeat(50, 1) + 0.1 * plain
    assert abs(clustering(plain, 0)) < 0.3
    assert clustering(lumps, 0) > 2


def test_the_embedded_dictionary_has_a_shape_unlike_random_rows() -> None:
    m = api.load("embedded-small", device="cpu")
    result = api.run("feature_geometry", m, dictionary="topk-L2", n_contexts=96, window=128)
    assert result.slope < result.random_slope - 0.2
    assert result.dimension < result.random_dimension
    assert len(result.lobe) == len(result.k) == 5
    for look in (Look(), Look(dark=True)):
        assert len(figure(result, look).data) == 6
    assert "slope" in title(result)
    assert "control: labels shuffled" in caption(result)


def test_what_cannot_be_asked_is_refused() -> None:
    m = api.load("embedded-small", device="cpu")
    with pytest.raises(Error, match="affinity is one of phi"):
        api.run("feature_geometry", m, dictionary="topk-L2", affinity="x")
    with pytest.raises(Error, match="too few for lobes"):
        api.run("feature_geometry", m, dictionary="topk-L2", corpus=["One text.", "Two texts."])


def test_agreement_is_the_adjusted_mutual_information() -> None:
    from sklearn.metrics import adjusted_mutual_info_score

    draw = np.random.default_rng(0)
    one = draw.integers(0, 4, 300)
    other = np.where(draw.random(300) < 0.6, one, draw.integers(0, 3, 300))
    own, null = _agreement(one, other, draw)
    assert own == pytest.approx(adjusted_mutual_info_score(one, other), abs=0.01)
    assert abs(null.mean()) < 1e-9
