"""Probes without labels: planted knowledge is found, a louder distractor is found instead."""

import numpy as np
import pytest
import torch

from core import api
from core.analyses.probe_ccs import ccs, consistency, loudest, normalised
from core.figures import unlabelled_probe as drawing
from core.figures.theme import Look
from core.results.unlabelled_probe import UnlabelledProbe
from core.spec.errors import Error
from tests.core.conftest import STORIES

N, D = 400, 64


def pairs(loudness: float) -> tuple[torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
    """Contrast pairs that differ by knowledge, and by a distractor so many times as loud."""
    rng = np.random.default_rng(0)
    truth, word = rng.integers(0, 2, N), rng.integers(0, 2, N)
    axes = np.linalg.qr(rng.normal(size=(D, 3)))[0].T
    apart = np.outer(2 * truth - 1, axes[0]) + loudness * np.outer(2 * word - 1, axes[1])
    base = rng.normal(size=(N, D))
    noise = [0.1 * rng.normal(size=(N, D)) for _ in range(2)]
    up = base * 0.3 + 2 * apart + 3 * axes[2] + noise[0]
    down = base * 0.3 - 2 * apart - 3 * axes[2] + noise[1]
    return torch.tensor(up).float(), torch.tensor(down).float(), truth, word


def agreement(score: torch.Tensor, label: np.ndarray) -> float:
    same = float(((score > 0).numpy() == label.astype(bool)).mean())
    return max(same, 1 - same)


@pytest.mark.parametrize(("loudness", "wanted"), [(0.0, "truth"), (0.3, "truth"), (4.0, "word")])
def test_it_takes_the_louder_feature(loudness: float, wanted: str) -> None:
    up, down, truth, word = pairs(loudness)
    up, down = normalised(up, down, torch.ones(N, dtype=torch.bool))
    axis = (up - down) @ loudest(up, down)
    found = ccs(up, down, 0)
    own = {"truth": truth, "word": word}
    other = "word" if wanted == "truth" else "truth"
    assert agreement(axis, own[wanted]) > 0.95
    assert agreement(axis, own[other]) < 0.6
    assert found.loss < 0.05
    assert agreement(found.score(up, down) - 0.5, own[wanted]) > 0.95


def test_halves_are_normalised_apart_so_that_the_ending_says_nothing() -> None:
    up, down, _, _ = pairs(0.0)
    train = torch.arange(N) < 300
    one, other = normalised(up + 50, down, train)
    torch.testing.assert_close(one[train].mean(0), torch.zeros(D), atol=1e-3, rtol=0)
    torch.testing.assert_close(other[train].std(0, correction=0), torch.ones(D), atol=1e-3, rtol=0)


def test_the_loss_is_nought_for_consistent_and_sure_answers_only() -> None:
    sure = torch.tensor([1.0, 0.0, 1.0])
    assert float(consistency(sure, 1 - sure)) == 0
    assert float(consistency(sure, sure)) > 0.3
    half = torch.full((3,), 0.5)
    assert float(consistency(half, half)) == pytest.approx(0.25)


@pytest.fixture(scope="module")
def result() -> UnlabelledProbe:
    m = api.load(STORIES, device="cpu")
    things = ("a cat", "a dog", "one hat", "two cats", "two dogs", "six hats")
    names = ("Tom", "Lily", "Ben", "Mom", "Sam", "Max")
    texts = [f"{who} saw {what}" for who in names for what in things]
    return api.run(
        "unlabelled_probe", m, texts=texts, labels=[0, 0, 0, 1, 1, 1] * 6,
        groups=[t.split()[0] for t in texts], endings=(" yes.", " no."), folds=3,
    )  # fmt: skip


def test_on_a_model_the_labelled_probe_knows_and_the_other_one_takes_the_distractor(
    result: UnlabelledProbe,
) -> None:
    assert result.accuracy.shape == (3, 6)
    assert result.accuracy[2].max() > 0.8
    assert result.distractor_accuracy[0, 1:].max() > 0.9
    assert any(result.takes_the_distractor(row) for row in range(1, 6))
    assert abs(result.control_accuracy.mean() - 0.5) < 0.15
    assert (result.random_label_loss >= 0).all()


def test_figures_say_the_numbers(result: UnlabelledProbe) -> None:
    for look in (Look(), Look(dark=True)):
        for shown in ("concept", "distracted", "distractor"):
            drawing.figure(result, look, shown=shown)
    curves = {t.name: np.asarray(t.y) for t in drawing.figure(result, Look()).data if t.name}
    np.testing.assert_allclose(curves["CCS"], result.accuracy[0], atol=1e-6)
    assert "control: random directions" in drawing.caption(result)
    assert "36 texts" in drawing.caption(result)


def test_what_cannot_be_asked_is_refused() -> None:
    m = api.load(STORIES, device="cpu")
    with pytest.raises(Error, match="endings= are two different texts"):
        api.run("unlabelled_probe", m, labelled="truth of sums", endings=(" a", " a"))
    with pytest.raises(Error, match="distractors= are two different texts"):
        api.run("unlabelled_probe", m, labelled="truth of sums", distractors="Banana")
