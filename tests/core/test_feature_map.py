"""The map of features: planted groups stay together, and its trust is what sklearn computes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses import layout
from core.analyses.feature_gallery import opened
from core.analyses.runs import Silent
from core.figures import table
from core.models.loaded import Loaded
from tests.core.feature_models import carrying, dictionary


def clouds(n: int, each: int, width: int, noise: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    centre = torch.nn.functional.normalize(torch.randn(n, width, generator=generator), dim=1)
    drawn = noise * torch.randn(n * each, width, generator=generator) / width**0.5
    return centre.repeat_interleave(each, 0) + drawn


@pytest.fixture(scope="module")
def planted(llama: Loaded) -> Loaded:
    """Six groups of thirty features, shuffled; feature i is of group order[i] // 30."""
    rows = clouds(6, 30, llama.d_model, 0.5)
    order = torch.randperm(180, generator=torch.Generator().manual_seed(1))
    made = dictionary(llama, n=180)
    return carrying(llama, replace(made, W_dec=3 * rows[order], W_enc=rows[order].T.clone()))


def truth() -> np.ndarray:
    return torch.randperm(180, generator=torch.Generator().manual_seed(1)).numpy() // 30


def test_planted_groups_are_found_and_stay_together_in_the_plane(planted: Loaded) -> None:
    found = api.run("feature_map", planted, dictionary="made", n_groups=6)
    own = truth()
    for group in range(6):
        assert len(np.unique(own[found.group == group])) == 1
    place = np.stack([found.x, found.y], axis=1)
    apart = np.linalg.norm(place[:, None] - place[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (own[apart.argmin(1)] == own).mean() > 0.98
    assert (own[found.near[:, 0]] == own).all()
    assert found.group_cosine > found.random_group_cosine + 0.2
    assert found.trust[0] > found.trust[1] > found.trust[2]
    assert 0.4 < found.trust[2] < 0.6


def test_trustworthiness_is_that_of_sklearn() -> None:
    from sklearn.manifold import trustworthiness

    rows = torch.nn.functional.normalize(clouds(4, 20, 16, 1.0), dim=1)
    for seed in (0, 1):
        place = torch.randn(80, 2, generator=torch.Generator().manual_seed(seed))
        place[:, 0] += seed * torch.arange(80) // 20
        wanted = trustworthiness(rows.numpy(), place.numpy(), n_neighbors=7, metric="cosine")
        assert layout.trustworthiness(layout.cosines(rows), place, 7) == pytest.approx(
            wanted, abs=1e-6
        )


def test_neighbours_are_exact_whatever_the_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.nn.functional.normalize(clouds(3, 15, 12, 1.0), dim=1)
    whole = layout.nearest(layout.cosines(rows), 45, 5)
    cosine = rows @ rows.T
    cosine.fill_diagonal_(-2)
    assert torch.equal(whole[0], cosine.topk(5).indices)
    monkeypatch.setattr(layout, "TILE", 100)
    parts = layout.nearest(layout.cosines(rows), 45, 5)
    torch.testing.assert_close(parts[1], whole[1])


def test_the_curve_and_the_graph_are_those_of_umap() -> None:
    # The values that umap-learn prints for its default minimum distance.
    np.testing.assert_allclose(layout._curve(0.1), (1.5769434601, 0.8950608780), rtol=1e-4)
    near = torch.tensor([[1, 2], [0, 2], [1, 0]])
    distance = torch.tensor([[0.1, 0.4], [0.1, 0.3], [0.3, 0.4]])
    head, tail, weight = layout._edges(near, distance)
    assert list(zip(head.tolist(), tail.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 2)]
    # Two neighbours: the nearest weighs 1, and together they weigh log2(2) = 1, so the other
    # weighs next to nothing, save where it is somebody's nearest.
    np.testing.assert_allclose(weight, [1, 0, 1], atol=2e-2)


def test_the_same_seed_gives_the_same_picture_and_pca_is_the_plain_one(planted: Loaded) -> None:
    first = api.run("feature_map", planted, dictionary="made")
    again = api.run("feature_map", planted, dictionary="made")
    np.testing.assert_array_equal(first.x, again.x)
    plain = api.run("feature_map", planted, dictionary="made", method="pca", by="encoder")
    rows = planted.dictionaries["made"].W_enc.T
    rows = rows / rows.norm(dim=1, keepdim=True)
    centred = rows - rows.mean(0)
    shares = torch.linalg.svdvals(centred)[:2] ** 2
    np.testing.assert_allclose((plain.x**2).sum(), shares[0], rtol=1e-4)
    np.testing.assert_allclose((plain.y**2).sum(), shares[1], rtol=1e-4)
    assert plain.trust[0] == plain.trust[1]


def test_large_dictionaries_are_thinned_and_silent_rows_left_out(planted: Loaded) -> None:
    made = planted.dictionaries["made"]
    rows = made.W_dec.clone()
    rows[5] = 0
    m = carrying(planted, replace(made, W_dec=rows))
    found = api.run("feature_map", m, dictionary="made")
    assert 5 not in found.feature
    assert len(found.feature) == 179
    few = api.run("feature_map", m, dictionary="made", n_points=40)
    assert len(few.x) == 40
    assert set(few.near.ravel().tolist()) <= set(few.feature.tolist())
    assert few.n_features == 180


def test_what_cannot_be_drawn_is_a_sentence(planted: Loaded, llama: Loaded) -> None:
    with pytest.raises(api.Error, match="by must be one of decoder, encoder, cofiring"):
        api.run("feature_map", planted, dictionary="made", by="colour")
    with pytest.raises(api.Error, match="n_neighbours must be a whole number"):
        api.run("feature_map", planted, dictionary="made", n_neighbours=1)
    few = carrying(llama, dictionary(llama, n=5))
    with pytest.raises(api.Error, match="has 5 features; a map needs 8"):
        api.run("feature_map", few, dictionary="made")


def test_a_dictionary_of_gates_has_a_map_without_tokens(llama: Loaded) -> None:
    found = api.run("feature_map", carrying(llama, dictionary(llama, "L1.gate")), dictionary="made")
    assert found.group_tokens == ()


def test_the_cofiring_map_is_by_jaccard_indices_of_the_dense_codes(llama: Loaded) -> None:
    texts = tuple(f"one two three dog {n} red cat {n * 7} blue" for n in range(12))
    m = carrying(llama, dictionary(llama, n=40))
    ask: dict[str, Any] = {"dictionary": "made", "corpus": texts, "window": 32}
    found = api.run("feature_map", m, by="cofiring", **ask)
    g = opened(m, Silent(), **ask)
    dense = np.zeros((g.text.n_tokens, g.n_features))
    for feature in range(g.n_features):
        dense[g.need_codes().of_feature(feature)[0], feature] = 1
    assert found.feature.tolist() == np.flatnonzero(g.count >= 15).tolist()
    for row, feature in enumerate(found.feature.tolist()):
        for near, value in zip(found.near[row], found.near_cosine[row], strict=True):
            both = dense[:, feature] @ dense[:, near]
            either = dense[:, feature].sum() + dense[:, near].sum() - both
            assert value == pytest.approx(both / either, rel=1e-5)
        assert found.near_cosine[row, 0] == found.near_cosine[row].max()
    assert "firing on the same tokens" in table.title(found)


def test_points_that_are_all_alike_cannot_be_trusted() -> None:
    place = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    trust = layout.trustworthiness(lambda some: torch.zeros(len(some), 200), place, 10)
    assert trust == pytest.approx(0.5, abs=0.05)
