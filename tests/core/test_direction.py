"""Directions of concepts on real models: against the engine read another way, and planted truth."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core import api
from core.models.loaded import Loaded
from core.spec.request import ModelRef
from tests.families.recipes import FAMILIES as RECIPES

HAPPY = ["Lily was happy.", "Tom was so glad.", "The dog was happy and glad.", "She was glad."]
SAD = ["Lily was sad.", "Tom was so upset.", "The dog was sad and upset.", "She was upset."]
NAMES = [name for name in RECIPES if name != "distilbert"]


def last(m: Loaded, text: str, layer: int) -> np.ndarray:
    site = f"L{layer}.resid_post"
    return api.trace(m, text, [site])[site][-1].astype(np.float64)


def test_row_l_is_the_difference_of_means_behind_block_l(stories: Loaded) -> None:
    result = api.run("direction", stories, positive=HAPPY, negative=SAD)
    for layer in range(5):
        up = np.stack([last(stories, text, layer) for text in HAPPY])
        down = np.stack([last(stories, text, layer) for text in SAD])
        gap = up.mean(0) - down.mean(0)
        wanted = gap / np.linalg.norm(gap)
        np.testing.assert_allclose(result.direction[layer], wanted, atol=1e-4)
        along = np.concatenate([up, down]) @ wanted
        np.testing.assert_allclose(result.projection[layer], along, rtol=1e-3, atol=1e-3)
        assert result.gap[layer] == pytest.approx(np.linalg.norm(gap), rel=1e-3)
        assert result.middle[layer] == pytest.approx(along.reshape(2, -1).mean(), rel=1e-3)
    assert result.direction.shape == (5, 64)
    assert result.direction.dtype == np.float32


def test_a_concept_its_name_its_pairs_and_its_lists_are_one_question(stories: Loaded) -> None:
    concept = api.concepts()["happy/sad"]
    found = [
        api.run("direction", stories, **asked)
        for asked in (
            {"concept": "happy/sad"},
            {"concept": concept},
            {"pairs": list(zip(concept.positive, concept.negative, strict=True))},
        )
    ]
    for other in found[1:]:
        for name, array in found[0].arrays().items():
            np.testing.assert_array_equal(other.arrays()[name], array)
    loose = api.run("direction", stories, positive=concept.positive, negative=concept.negative)
    np.testing.assert_allclose(loose.direction, found[0].direction, atol=1e-5)


def test_what_is_planted_is_found_and_shuffled_labels_are_not(stories: Loaded) -> None:
    # Tokens that differ in every text: separable behind every block.
    up = [f"{a} {b} yes" for a in ("the", "a", "my") for b in ("dog", "cat", "boy", "girl")]
    down = [text.replace("yes", "no") for text in up]
    result = api.run("direction", stories, pairs=list(zip(up, down, strict=True)))
    assert (result.separation > 0.95).all()
    assert abs(result.control_separation.mean() - 0.5) < 0.1
    assert result.control_separation.shape == (5, 20)
    assert (result.split_half > 0.9).all()
    assert result.stable(2)
    assert (result.consistency > 0.5).all()


def test_two_lists_that_mean_nothing_are_told_apart_no_better_than_their_control(
    stories: Loaded,
) -> None:
    words = re.findall(r"\w+", "one big red dog cat sun car box day hat bed top man pen cup two")
    result = api.run("direction", stories, positive=words[::2], negative=words[1::2])
    chance = np.quantile(result.control_separation, 0.95, axis=1)
    assert (result.separation <= chance + 0.15).all()
    assert not all(result.stable(layer) for layer in range(5))


def test_a_token_direction_raises_its_token_and_a_neuron_direction_is_its_write(
    stories: Loaded,
) -> None:
    token = api.run("direction", stories, method="token", token=" was")
    assert token.raises[4][0] == " was"
    assert token.raise_score[4, 0] > 1.5 * token.control_score[4]
    assert np.isnan(token.separation).all()
    assert np.isnan(token.split_half).all()
    assert (token.mean_norm > 0).all()
    neuron = api.run("direction", stories, method="neuron", neuron="L1.neuron[5]")
    write = stories.stacks[""].blocks[1].neurons.weight.detach().numpy()[:, 5]  # type: ignore[union-attr, index]
    np.testing.assert_allclose(neuron.direction[3], write / np.linalg.norm(write), atol=1e-5)
    assert neuron.neurons[3][0] == "L1.neuron[5]"
    assert neuron.neuron_cosine[3, 0] == pytest.approx(1, abs=1e-5)
    assert "L1.neuron[5]" not in neuron.neurons[0]
    assert neuron.control_neuron_cosine[3] < 0.6


def test_a_direction_handed_in_is_measured_on_the_items(stories: Loaded) -> None:
    built = api.run("direction", stories, positive=HAPPY, negative=SAD)
    given = api.run(
        "direction", stories, positive=HAPPY, negative=SAD, method="given",
        vectors=(3 * built.direction).tolist(),
    )  # fmt: skip
    np.testing.assert_allclose(given.direction, built.direction, atol=1e-6)
    np.testing.assert_allclose(given.gap, built.gap, rtol=1e-4)
    assert (given.separation[1:] == 1).all()  # the very items it was built from
    assert np.isnan(given.split_half).all()


def test_without_negative_texts_a_concept_stands_against_the_reference_text(
    stories: Loaded,
) -> None:
    result = api.run("direction", stories, concept=api.concept("animals", ["dog", "cat", "bear"]))
    assert result.n_negative > 40
    assert result.sides[1] == "sentences of the reference text"


def test_the_shift_between_two_models_is_the_mean_of_their_differences(
    stories: Loaded, tmp_path: Path
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    from tests.core.conftest import STORIES

    shutil.copytree(STORIES, tmp_path / "moved")
    weights = load_file(tmp_path / "moved" / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"
    weights[name] = weights[name] * 1.5
    save_file(weights, tmp_path / "moved" / "model.safetensors", metadata={"format": "pt"})
    other = api.load(tmp_path / "moved")
    concept = api.concept("any", HAPPY)
    result = api.run("direction", stories, concept=concept, other=str(tmp_path / "moved"))
    gaps = np.stack([last(other, text, 2) - last(stories, text, 2) for text in HAPPY])
    wanted = gaps.mean(0) / np.linalg.norm(gaps.mean(0))
    np.testing.assert_allclose(result.direction[2], wanted, atol=1e-4)
    single = [gap @ wanted / np.linalg.norm(gap) for gap in gaps]
    assert result.consistency[2] == pytest.approx(np.mean(single), abs=1e-4)
    np.testing.assert_allclose(result.direction[0], 0, atol=1e-6)  # nothing differs below block 1
    assert result.sides == (f"states of {other.name}", f"states of {stories.name}")


@pytest.mark.parametrize("name", NAMES)
def test_every_family_has_directions(name: str, tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny(name))
    result = api.run("direction", m, positive=["the cat", "a dog"], negative=["on it", "sat"])
    assert np.isfinite(result.direction).all()
    np.testing.assert_allclose(np.linalg.norm(result.direction, axis=1), 1, atol=1e-5)
    assert bool(result.neurons[0]) == bool(m.d_mlp)
    readable = m.head is not None and not m.row.head and not m.prompt_stack
    assert bool(result.raises[0]) == readable
    assert result.stack == m.prompt_stack


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "a direction needs a concept"),
        ({"concept": "nope"}, "no concept 'nope'"),
        ({"concept": "happy/sad", "positive": ["a"]}, "not several of them"),
        ({"positive": ["a"], "negative": ["b"]}, "at least 2 texts on each side"),
        ({"pairs": [("a", "b", "c")]}, "pairs are a list of"),
        ({"concept": "happy/sad", "method": "magic"}, "no method 'magic'"),
        ({"concept": "happy/sad", "method": "token"}, "needs token="),
        ({"concept": "happy/sad", "token": " dog"}, "does not take token="),
        ({"concept": "happy/sad", "position": "first"}, "no position 'first'"),
        ({"method": "neuron", "neuron": "L1.head[2]"}, "a neuron is named as"),
        ({"method": "neuron", "neuron": "L9.neuron[2]"}, "has layers 0 to 4"),
        ({"method": "given", "vectors": [[1.0, 2.0]]}, "has the shape"),
        ({"method": "given", "vectors": [[0.0] * 64] * 5}, "length zero"),
        ({"concept": "happy/sad", "other": "embedded"}, "channels|layers"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(asked, says, stories: Loaded) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(api.Error, match=says):
        api.run("direction", stories, **asked)


def test_an_answer_survives_the_store_and_names_its_best_layer(stories: Loaded, tmp_path) -> None:  # type: ignore[no-untyped-def]
    result = api.run("direction", stories, positive=HAPPY, negative=SAD)
    opened = api.open_result(result.save(tmp_path / "d"))
    assert {**opened.labels(), "request": 0} == {**result.labels(), "request": 0}
    best = np.flatnonzero(result.separation >= result.separation.max() - 0.005)
    assert opened.best == best[np.argmax(result.split_half[best])]
    assert len(result.to_frame()) == 5
    assert ModelRef(result.request["model"][0]).name == stories.ref.name
