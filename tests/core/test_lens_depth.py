"""The lens over many prompts: against the model itself, planted answers, and chance."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from core import api
from core.corpus.lens_prompts import prompts, task_names
from core.corpus.world.tasks import tasks
from core.figures import lens_depth as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.lens_depth import LensDepth
from core.spec.errors import Error
from tests.core.conftest import STORIES

TEXTS = (
    "Once upon a time there was a little",
    "Lily wanted to play with her",
    "Tom saw a big red",
    "The dog was very",
    "She loved to go to the",
    "One day he found a",
)


@pytest.fixture(scope="module")
def model() -> Loaded:
    return api.load(STORIES, device="cpu")


@pytest.fixture(scope="module")
def result(model: Loaded) -> LensDepth:
    found = api.run("lens_depth", model, texts=TEXTS, tracked=[("people", ["Lily", "Tom", "boy"])])
    assert isinstance(found, LensDepth)
    return found


def test_the_last_row_is_the_models_own_answer(model: Loaded, result: LensDepth) -> None:
    for place, text in enumerate(TEXTS):
        logits = torch.tensor(api.logits(model, text)[-1])
        p = torch.softmax(logits, -1)
        assert result.final_probability[-1, place] == pytest.approx(float(p.max()), abs=1e-4)
        assert result.entropy[-1, place] == pytest.approx(float(-(p * p.log()).sum()), abs=1e-3)
    np.testing.assert_allclose(result.kl[-1], 0, atol=1e-4)
    assert (result.agrees[-1] == 1).all()
    assert (result.final_rank[-1] == 0).all()


def test_it_says_what_the_lens_of_one_text_says(model: Loaded, result: LensDepth) -> None:
    for place in (0, 3):
        one = api.run("lens", model, text=TEXTS[place])
        np.testing.assert_allclose(result.entropy[1:, place], one.entropy[:, -1], atol=1e-3)
        np.testing.assert_allclose(result.kl[1:, place], one.kl[:, -1], atol=1e-3)
        assert (result.final_rank[1:, place] == one.final_rank[:, -1]).all()
        assert result.entropy[0, place] == pytest.approx(float(one.embed_entropy[-1]), abs=1e-3)
        same = one.top_ids[:, -1, 0] == one.top_ids[-1, -1, 0]
        wrong = np.flatnonzero(~same)
        assert result.decided[place] == (wrong[-1] + 2 if len(wrong) else 1)


def test_a_layer_agrees_more_than_random_states(result: LensDepth) -> None:
    assert result.final_probability[-2].mean() > 10 * result.random_final_probability[-2]
    assert result.agrees[1:].mean() > result.random_agreement[1:].mean() + 0.1
    assert (result.random_agreement < 0.3).all()


def test_a_tracked_list_has_the_probability_of_its_tokens(model: Loaded, result: LensDepth) -> None:
    p = torch.softmax(torch.tensor(api.logits(model, TEXTS[3])[-1]), -1)
    wanted = set()
    for word in ("Lily", "Tom", "boy"):
        for blank in ("", "a "):  # at the start of a text, and behind a blank
            before = len(api.tokens(model, blank.strip())) if blank else 1
            ids = model.tokenizer(blank + word)["input_ids"]
            wanted.add(ids[before])
    total = float(p[sorted(wanted)].sum())
    assert result.share[0, -1, 3] == pytest.approx(total, abs=1e-5)
    assert result.share.shape == (1, 6, 6)
    assert any("3 words together" in note for note in result.notes)


def test_answers_are_picked_and_those_of_other_prompts_are_not(model: Loaded) -> None:
    # The model's own final choices as answers: right at the end by definition.
    first = api.run("lens_depth", model, texts=TEXTS)
    answers = [piece.strip() or piece for piece in first.finals]
    kept = [n for n, answer in enumerate(answers) if answers.count(answer) == 1]
    result = api.run(
        "lens_depth", model, texts=[TEXTS[n] for n in kept], answers=[answers[n] for n in kept]
    )
    assert result.exit_accuracy[-1] == 1
    assert result.control_exit_accuracy[:, -1].mean() < 0.6
    assert (result.answer_rank[-1] == 0).all()
    assert (result.answer_probability[-1] >= result.final_probability[-1] - 1e-4).all()
    assert result.answer_probability[-1].mean() > 3 * result.control_answer_probability[-1]
    assert result.exit_low[-1] < 1


def test_stopping_early_is_exact_on_planted_curves(result: LensDepth) -> None:
    top = np.zeros((5, 2), "float32")
    top[0], top[2, 0], top[3, 1] = 1.0, 0.95, 0.95
    agrees = np.zeros((5, 2), "float32")
    agrees[2, 0] = agrees[4] = 1
    made = replace(result, top_probability=top, agrees=agrees)
    saved, kept = made.exits(0.9)
    assert saved == pytest.approx(1 - (2 / 4 + 3 / 4) / 2)
    assert kept == pytest.approx(0.5)
    assert made.exits(0.99) == (0.0, 1.0)
    # Points that lie on each other carry one number between them.
    x, words = (drawing.exits(made, Look()).data[0][name] for name in ("x", "text"))
    assert words[0] == "0.5"
    assert [bool(word) for word in words[1:]] == [abs(b - a) >= 0.03 for a, b in pairwise(x)]
    assert "" in words


def test_languages_and_tasks_have_their_words(model: Loaded) -> None:
    one = prompts("translation")
    assert one.texts[0].endswith('"')
    assert one.texts[0].count("\n") == 4
    assert f'"{one.answers[0]}"' not in one.texts[0]
    assert [name for name, _ in one.tracked] == ["English", "French", "Spanish"]
    result = api.run("lens_depth", model, task="French word")
    assert result.tracked == ("English", "French", "Spanish")
    assert (result.share.sum(axis=0) <= 1 + 1e-5).all()


def test_the_list_of_tasks_names_every_task_of_the_world() -> None:
    assert task_names() == ("translation", *(task.name for task in tasks()))


def test_a_labelled_set_takes_one_answer_a_class(model: Loaded) -> None:
    result = api.run("lens_depth", model, labelled="truth of sums", answers=["false", "true"])
    assert result.candidates == ("true", "false")
    assert set(result.answers) == {"true", "false"}
    assert abs(result.control_exit_accuracy.mean() - 0.5) < 0.1


def test_what_cannot_be_asked_is_refused(model: Loaded, tiny: object) -> None:
    for asked, said in (
        ({}, "give task="),
        ({"task": "none"}, "no task 'none' for the lens"),
        ({"texts": TEXTS, "answers": ["a"]}, "6 prompts and 1 answers"),
        ({"texts": TEXTS[:1]}, "reads 2 to"),
        ({"texts": TEXTS, "tracked": ["a"]}, "list of \\(name"),
        ({"texts": TEXTS, "answers": [" "] * 6}, "is empty"),
    ):
        with pytest.raises(Error, match=said):
            api.run("lens_depth", model, **asked)
    encoder = api.load(tiny("bert"), device="cpu")  # type: ignore[operator]
    with pytest.raises(Error, match="is an encoder"):
        api.run("lens_depth", encoder, texts=["a b", "c d"])


def test_figures_say_the_numbers(model: Loaded, result: LensDepth) -> None:
    answered = api.run("lens_depth", model, task="next day")
    for one in (result, answered):
        for look in (Look(), Look(dark=True)):
            fig = drawing.figure(one, look)
            curves = {trace.name: np.asarray(trace.y) for trace in fig.data if trace.name}
            np.testing.assert_allclose(
                curves["says the final choice"], one.agrees.mean(1), atol=1e-6
            )
            for more in (drawing.entropies, drawing.shares, drawing.ranks, drawing.exits):
                more(one, look)
        assert "control" in drawing.caption(one)
        assert f"{len(one.prompts)} text" in drawing.caption(one)
    assert "right in" in drawing.title(answered)
