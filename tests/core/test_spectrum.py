"""How many dimensions a cloud uses: planted clouds, known laws, and the embedded model."""

import numpy as np
import pytest
import torch

from core import api
from core.analyses.spectrum import (
    marchenko_pastur,
    pooled,
    ranks_of,
    slope,
    two_nn,
)
from core.analyses.whitening import Moments
from core.figures import spectrum as drawing
from core.figures.theme import Look
from core.spec.errors import Error


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


@pytest.fixture(scope="module")
def found(model):
    return api.run("spectrum", model, n_contexts=32, untrained_too=True)


def test_a_gaussian_cloud_has_the_spectrum_of_marchenko_and_pastur():
    rng = np.random.default_rng(0)
    n, d = 3_000, 200
    values = np.linalg.eigvalsh(np.cov(rng.normal(size=(n, d)).T, bias=True))[::-1]
    values /= values.sum()
    law = marchenko_pastur(n, d)
    assert np.abs(values - law).max() < 0.03 * law.max()
    assert ranks_of(values)["participation"] == pytest.approx(d * n / (n + d), rel=0.05)
    assert ranks_of(law)["participation"] == pytest.approx(d * n / (n + d), rel=0.02)


def test_more_dimensions_than_points_leave_zeros():
    law = marchenko_pastur(50, 80)
    assert law.sum() == pytest.approx(1)
    assert (law[:50] > 0).all()
    assert not law[50:].any()


def test_a_large_gaussian_cloud_hardly_slopes():
    assert slope(marchenko_pastur(65_536, 2_304), 11, 150) > -0.05


def test_a_planted_power_law_is_found():
    shares = np.arange(1, 301) ** -0.8
    assert slope(shares / shares.sum(), 11, 150) == pytest.approx(-0.8, abs=1e-9)


def test_ranks_count_equal_dimensions():
    shares = np.zeros(40)
    shares[:7] = 1 / 7
    found = ranks_of(shares)
    assert found["participation"] == pytest.approx(7)
    assert found["effective_rank"] == pytest.approx(7)
    assert found["stable_rank"] == pytest.approx(7)
    assert found["n90"] == 7


@pytest.mark.parametrize(("true", "low", "high"), [(2, 1.8, 2.3), (5, 4.4, 5.6), (10, 8.4, 10.5)])
def test_two_neighbours_find_the_dimension_of_a_turned_subspace(true, low, high):
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    points = np.pad(rng.normal(size=(1_500, true)), ((0, 0), (0, 40 - true))) @ turned
    assert low < two_nn(points) < high
    assert two_nn(np.concatenate([points, points])) == pytest.approx(two_nn(points))


def test_blocks_pool_to_the_whole():
    rng = np.random.default_rng(0)
    points = rng.normal(3, 1, (500, 6)) * np.arange(1, 7)
    parts = []
    for some in (points[:10], points[10:200], points[200:]):
        parts.append(Moments())
        parts[-1].add(torch.from_numpy(some))
    mean, covariance, n = pooled(parts)
    assert n == 500
    assert np.allclose(mean, points.mean(axis=0))
    assert np.allclose(covariance, np.cov(points.T, bias=True))


def test_the_spectrum_of_a_layer_is_that_of_its_states(model, found):
    seen, chunks = [], []
    from core.corpus.chunks import contexts

    made = contexts(model, "built-in", window=128, n_contexts=32)
    for window in made.windows:
        chunks.append(window)
        ids = torch.tensor([window.ids])
        with torch.inference_mode():
            states = model.module(ids, output_hidden_states=True).hidden_states[3][0]
        seen.append(states[torch.tensor(window.keep)].double().numpy())
    points = np.concatenate(seen)
    assert len(points) == found.n_points
    values = np.linalg.eigvalsh(np.cov(points.T, bias=True))[::-1]
    assert np.allclose(found.eigenvalues[3], values / values.sum(), rtol=1e-3, atol=1e-7)
    square = (points**2).mean(axis=0)
    assert found.values["top_1"][3] == pytest.approx(square.max() / square.sum(), rel=1e-4)


def test_every_number_has_its_control(found):
    for name, values in found.values.items():
        assert np.isfinite(values).all(), name
        assert np.isfinite(found.fresh[name]).all(), name
        if name != "norm":
            assert np.isfinite(found.control[name]).all(), name
    assert (found.values["participation"] < found.control["participation"]).all()
    assert np.abs(found.control["cosine"]).max() < 0.02
    assert (found.slope_low <= found.values["slope"]).all()
    assert (found.values["slope"] <= found.slope_high).all()


def test_training_changes_the_spectrum(found):
    assert found.values["slope"][3] < found.fresh["slope"][3] - 0.1


@pytest.mark.parametrize("of", ["embedding", "unembedding", "dictionary"])
def test_rows_of_matrices_are_clouds_too(model, of):
    given = {"dictionary": "topk-L2"} if of == "dictionary" else {}
    found = api.run("spectrum", model, of=of, **given)
    assert len(found.clouds) == 1
    assert found.n_points > 1_000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"of": "nothing"}, "of= is one of"),
        ({"of": "dictionary"}, "which dictionary"),
        ({"of": "dictionary", "dictionary": "none"}, "none"),
        ({"corpus": ["Too short a text."]}, "too few"),
    ],
)
def test_bad_input_gets_a_sentence(model, options, said):
    with pytest.raises(Error, match=said):
        api.run("spectrum", model, **options)


@pytest.mark.parametrize("dark", [False, True])
def test_the_figures_draw_the_control(found, dark):
    look = Look(dark=dark)
    for view in drawing.VIEWS:
        fig = drawing.figure(found, look, view=view, layer=2)
        assert any(trace.name == drawing.BALL for trace in fig.data)
    assert "Gaussian" in drawing.title(found)
    assert str(found.n_sample) in drawing.caption(found).replace(",", "")
