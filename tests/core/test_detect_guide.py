"""Detection against guidance: the fitted effect by formula, and the asked analysis."""

import numpy as np
import pytest

from core import api
from core.analyses.detect_guide import detect_guide
from core.analyses.normalised_effect import effect
from core.analyses.runs import Silent
from core.figures.detect_guide import VIEWS
from core.figures.table import caption, figure, title
from core.figures.theme import Look
from core.spec.errors import Error
from tests.core.depth_case import halves, lines


def test_planted_rates_and_perplexities_are_found_again() -> None:
    alpha = np.array([-256, -128, -64, -32, -16, 16, 32, 64, 128, 256], dtype=float)
    rate, ratio = 0.5 + 0.4 * np.tanh(alpha / 50), np.exp((alpha / 200) ** 2)
    found = effect(alpha, rate, ratio, 0.5)
    assert found.bend == pytest.approx(1 / 50, rel=0.05)
    assert found.decay == pytest.approx(1 / 200**2, rel=0.05)
    assert found.height == pytest.approx(0.4, rel=0.05)
    fine = np.linspace(-256, 256, 2_001)
    y = 0.4 * np.tanh(fine / 50) / np.exp((fine / 200) ** 2)
    assert found.pnes == pytest.approx(y.max() - y.min(), rel=0.05)


def test_an_effect_is_what_moves_less_what_breaks() -> None:
    alpha = np.array([-0.5, -0.25, 0.25, 0.5])
    still = effect(alpha, np.full(4, 0.3), np.ones(4), 0.3)
    assert still.pnes == pytest.approx(0, abs=1e-9)
    up = effect(alpha, np.array([0.1, 0.2, 0.4, 0.5]), np.ones(4), 0.3)
    assert up.pnes == pytest.approx(0.4, abs=0.02)
    assert up.height > 0
    down = effect(alpha, np.array([0.5, 0.4, 0.2, 0.1]), np.ones(4), 0.3)
    assert down.height < 0
    broken = effect(alpha, np.array([0.1, 0.2, 0.4, 0.5]), np.array([9.0, 2.0, 2.0, 9.0]), 0.3)
    assert broken.pnes < 0.6 * up.pnes


def test_the_planted_gender_is_guided_beyond_random_directions() -> None:
    model = api.load("embedded", device="cpu")
    found = detect_guide(model, Silent(), labelled="gender carried", layers=(4, 5))
    assert found.auc[:3].min() > 0.9
    method, layer = found.best_guide
    assert found.towards[method, layer] > 0
    assert found.pnes[method, layer] > found.chance
    assert found.pnes.max() > 1.5 * found.control_pnes.mean()
    assert (found.judge_layer != found.layer).all()
    np.testing.assert_allclose(np.linalg.norm(found.direction, axis=-1), 1, rtol=1e-4)
    assert "guides best" in title(found)
    assert "random directions a layer" in caption(found)
    for view in VIEWS:
        for dark in (False, True):
            assert figure(found, Look(dark=dark), view=view).data
    assert len(found.to_frame()) == 8


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alphas": (0,)}, "2 to 12 strengths"),
        ({"alphas": ("x",)}, "list of numbers"),
        ({"layers": (99,)}, "layers 0 to"),
        ({"prompts": ()}, "1 to 16 beginnings"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(stories, options, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Error, match=said):
        api.run("detect_guide", stories, texts=lines(20), labels=halves(20).tolist(), **options)


def test_an_encoder_and_one_text_under_two_labels_are_refused(stories, tiny) -> None:  # type: ignore[no-untyped-def]
    encoder = api.load(tiny("bert"), device="cpu")
    with pytest.raises(Error, match="continues no text"):
        api.run("detect_guide", encoder, texts=lines(20), labels=halves(20).tolist())
    texts = ["a cat", "a dog", "a sun", "a mat", "a hat"] * 2
    with pytest.raises(Error, match="nothing can be judged"):
        api.run("detect_guide", stories, texts=texts, labels=[0] * 5 + [1] * 5, folds=2)
