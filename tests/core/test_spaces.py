"""Likeness of spaces on planted vectors; the linear map; tokens of two tokenizers side by side."""

import numpy as np
import pytest

from core.analyses import linear_map, spaces
from core.analyses.aligned import Segment, matched, segments, spans
from core.models.loaded import Loaded

N, D = 120, 24


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def turned(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rotation, _ = np.linalg.qr(rng.normal(size=(x.shape[1], x.shape[1])))
    return x @ rotation


def test_a_rotation_changes_nothing_and_a_shuffle_of_the_items_everything(
    rng: np.random.Generator,
) -> None:
    x = spaces.standardised(rng.normal(size=(N, D)), "centre")
    y = turned(3 * x, rng)
    mixed = y[rng.permutation(N)]
    assert spaces.cka(x, y) == pytest.approx(1, abs=1e-9)
    assert abs(spaces.cka(x, mixed)) < 0.05
    alike = [spaces.dissimilarity_vector(each) for each in (x, y, mixed)]
    assert alike[0] @ alike[1] == pytest.approx(1, abs=1e-6)
    assert abs(alike[0] @ alike[2]) < 0.05
    parts = [spaces.scores(each) for each in (x, y, mixed)]
    assert spaces.procrustes(parts[0], parts[1]) == pytest.approx(1, abs=1e-9)
    assert spaces.procrustes(parts[0], parts[2]) < 0.7
    np.testing.assert_allclose(spaces.svcca(parts[0], parts[1]), 1, atol=1e-6)
    assert spaces.svcca(parts[0], parts[2]).max() < 0.6
    near = [spaces.neighbours(each, 10) for each in (x, y, mixed)]
    assert spaces.overlap(near[0], near[1]).min() == 1
    chance = spaces.chance_overlap(N, 10)
    assert spaces.overlap(near[0], near[2]).mean() == pytest.approx(chance, abs=0.02)


def test_cka_is_not_lifted_by_many_channels_but_by_one_massive_one_unless_scaled(
    rng: np.random.Generator,
) -> None:
    x, y = rng.normal(size=(2, 100, 768))
    biased = np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert biased > 0.8
    assert abs(spaces.cka(x, y)) < 0.05
    loud = rng.normal(size=100) * 500
    x[:, 3], y[:, 7] = loud, loud
    assert spaces.cka(*(spaces.standardised(each, "centre") for each in (x, y))) > 0.99
    assert abs(spaces.cka(*(spaces.standardised(each) for each in (x, y)))) < 0.05


def test_the_kernel_vector_is_the_published_debiased_estimate(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(30, 4))
    y[:, 0] += x[:, 0]

    def hsic(k: np.ndarray, m: np.ndarray) -> float:
        n, one = len(k), np.ones(len(k))
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        whole = np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        return (whole - 2 / (n - 2) * one @ k @ m @ one) / (n * (n - 3))

    k, m = x @ x.T, y @ y.T
    assert spaces.cka(x, y) == pytest.approx(hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m)))


def test_renaming_items_of_the_pairs_is_renaming_the_items(rng: np.random.Generator) -> None:
    x, order = rng.normal(size=(20, 6)), rng.permutation(20)
    np.testing.assert_allclose(
        spaces.shuffled(spaces.kernel_vector(x)[None], order)[0],
        spaces.kernel_vector(x[order]),
        atol=1e-12,
    )
    np.testing.assert_array_equal(
        spaces.renamed(spaces.neighbours(x, 4), order), spaces.neighbours(x[order], 4)
    )


def test_what_is_known_beforehand_is_taken_out(rng: np.random.Generator) -> None:
    length = rng.integers(1, 40, size=60)
    first, second = spaces.pairs_of(60)
    known = spaces.rank_vector(np.abs(length[first] - length[second]).astype(float))
    noise = spaces.rank_vector(rng.normal(size=len(first)))
    both = known + noise
    left = spaces.without(np.stack([both, known]), [known])
    assert abs(left[0] @ known) < 1e-9
    assert left[0] @ noise > 0.99
    assert np.abs(left[1]).max() < 1e-6 or abs(left[1] @ noise) < 0.2


def test_a_cloud_in_which_nothing_varies_is_zero() -> None:
    same = np.full((6, 5), 0.1) * np.arange(1, 6)
    assert not spaces.standardised(same).any()
    assert not spaces.kernel_vector(spaces.standardised(same)).any()


def test_a_shared_code_is_found_by_the_map_on_items_it_has_not_seen(
    rng: np.random.Generator,
) -> None:
    code = rng.normal(size=(500, 40))
    x, y = (code @ rng.normal(size=(40, 64)) + 0.3 * rng.normal(size=(500, 64)) for _ in range(2))
    held = linear_map.held_out(x, y, rng)
    assert held.r2 > 0.98
    assert held.at1 == 1
    assert held.chance1 == pytest.approx(0.01)
    assert held.error.mean() == pytest.approx(1 - held.r2, rel=1e-6)
    lost = linear_map.held_out(x, y[rng.permutation(500)], rng)
    assert lost.r2 < 0.02
    assert lost.at1 < 0.05


def test_the_penalty_is_the_one_that_leaving_items_out_chooses(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(25, 10)), rng.normal(size=(25, 3))
    y += x[:, :3]
    errors = []
    for penalty in linear_map.PENALTIES:
        lost = 0.0
        for item in range(25):
            kept = np.delete(np.arange(25), item)
            a, b = x[kept] - x[kept].mean(0), y[kept] - y[kept].mean(0)
            # The scale is that of all items, so that only the leaving out differs.
            strength = penalty * np.mean(np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2)
            weight = np.linalg.solve(a.T @ a + strength * np.eye(10), a.T @ b)
            lost += ((y[item] - y[kept].mean(0) - (x[item] - x[kept].mean(0)) @ weight) ** 2).sum()
        errors.append(lost)
    assert linear_map.fitted(x, y).penalty == linear_map.PENALTIES[int(np.argmin(errors))]


def test_tokens_of_two_tokenizers_meet_where_both_end() -> None:
    here = ((0, 0), (0, 3), (3, 4), (4, 9))
    there = ((0, 0), (0, 1), (1, 3), (3, 7), (7, 9))
    assert segments(here, there) == (
        Segment((1,), (1, 2), 0, 3),
        Segment((2, 3), (3, 4), 3, 9),
    )
    assert matched(here, there) == ((1, 2), (3, 4))
    # Four bytes of one sign, and a blank that belongs to the word on one side only.
    here = ((0, 1), (1, 2), (1, 2), (1, 2), (2, 5))
    there = ((0, 1), (1, 2), (2, 3), (3, 5))
    assert matched(here, there) == ((0, 0), (3, 1), (4, 3))


def test_matched_tokens_have_read_the_same_text(llama: Loaded, stories: Loaded) -> None:
    text = "Tom's café, was charming 🎹. Overall"
    here, there = spans(llama, text), spans(stories, text)
    pairs = matched(here, there)
    assert len(pairs) > 3
    for a, b in pairs:
        assert here[a][1] == there[b][1]
    assert matched(there, there) == tuple(
        (i, i)
        for i, (a, b) in enumerate(there)
        if b > a and b not in [e for _, e in there[i + 1 :]]
    )
