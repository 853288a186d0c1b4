"""Paths of tokens: planted shapes, sums that hold in every family, controls, figures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses import paths
from core.figures import trajectories as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from tests.core.copies import writable
from tests.families.recipes import FAMILIES

TEXT = "the cat sat on the mat"
NORMED_SUMS = ("bert", "roberta")  # a norm follows each sum, so a step is more than what is written


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_straight_way_is_straight_and_a_way_back_is_not() -> None:
    line = np.outer(np.arange(5.0), np.ones(3))
    found = paths.shape(line)
    assert found.straight == pytest.approx(1.0)
    np.testing.assert_allclose(found.turn[1:], 1.0)
    back = np.concatenate([line, line[::-1]])
    assert paths.shape(back).straight == pytest.approx(0.0)
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
    assert paths.shape(square).straight == pytest.approx(1 / 3)
    np.testing.assert_allclose(paths.shape(square).turn[1:], 0, atol=1e-12)


def test_random_steps_keep_their_lengths_and_random_orders_their_end() -> None:
    points = rng().standard_normal((9, 40)).cumsum(axis=0)
    wild = paths.random_directions(points, rng(1))
    np.testing.assert_allclose(paths.shape(wild).step, paths.shape(points).step)
    mixed = paths.random_order(points, rng(1))
    np.testing.assert_allclose(mixed[[0, -1]], points[[0, -1]])
    assert sorted(paths.shape(mixed).step) == pytest.approx(sorted(paths.shape(points).step))


def test_straightness_of_random_directions_is_the_square_root_of_the_number_of_steps() -> None:
    points = np.concatenate([np.zeros((1, 2_000)), np.eye(16, 2_000).cumsum(axis=0)])
    chance = paths.chance(points, rng())
    assert chance.straight[1] == pytest.approx(16**-0.5, rel=0.05)
    assert chance.straight[0] < paths.shape(points).straight < chance.straight[2]


def test_shape_does_not_depend_on_rotation() -> None:
    points = rng().standard_normal((3, 7, 10)).cumsum(axis=1)
    turn = np.linalg.qr(rng(1).standard_normal((10, 10)))[0]
    one, other = paths.shape(points), paths.shape(points @ turn)
    for name in ("step", "straight", "turn", "to_end"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-9)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "distilbert"])
def test_attention_and_mlp_share_every_step_in_every_family(
    tiny: Callable[[str], Path], family: str
) -> None:
    m = api.load(tiny(family), device="cpu")
    result = api.run("trajectories", m, text=TEXT, nulls=False)
    assert np.isfinite(result.step).all()
    if family not in NORMED_SUMS:
        np.testing.assert_allclose(result.attention_share + result.mlp_share, 1, atol=1e-3)
    assert np.isnan(result.to_output).all() == (m.kind != "decoder")
    np.testing.assert_allclose(result.to_end[:, -1], 1)


def test_states_are_those_of_the_trace(llama: Loaded) -> None:
    result = api.run("trajectories", llama, text=TEXT, nulls=False)
    seen = api.trace(llama, TEXT, ["L0.resid_pre", "L1.resid_post", "L2.resid_post"])
    at = list(result.position)
    np.testing.assert_allclose(
        result.norm[:, 0], np.linalg.norm(seen["L0.resid_pre"][at], axis=1), rtol=1e-5
    )
    step = np.linalg.norm(seen["L2.resid_post"][at] - seen["L1.resid_post"][at], axis=1)
    np.testing.assert_allclose(result.step[:, 2], step, rtol=1e-4)
    logits = api.logits(llama, TEXT)
    best = api.run("next_tokens", llama, text=TEXT, k=1).candidates[0]
    assert result.outputs[-1] == best
    assert len(result.tokens) == len(at) < len(logits)  # the special token is no path


def test_a_block_that_writes_one_direction_makes_a_straight_way(llama: Loaded) -> None:
    m = writable(llama)
    with torch.no_grad():
        for block in m.stacks[""].blocks:
            block.heads.weight.zero_()  # type: ignore[operator]
            write = block.neurons.weight  # type: ignore[union-attr]
            write.copy_(torch.ones(write.shape[0], 1) * write.abs().mean())  # type: ignore[operator]
    result = api.run("trajectories", m, text=TEXT, nulls=False)
    np.testing.assert_allclose(np.abs(result.turn[:, 1:]), 1, atol=1e-5)
    np.testing.assert_allclose(result.mlp_share, 1, atol=1e-5)
    np.testing.assert_allclose(result.attention_share, 0, atol=1e-5)


def test_the_embedded_model_turns_less_than_fresh_weights_and_heads_for_its_answer() -> None:
    m = api.load("embedded", device="cpu")
    texts = [f"The capital of {name} is" for name in ("France", "Italy", "Japan", "Cuba")]
    result = api.run("trajectories", m, texts=texts)
    assert result.outputs[0] == " Paris"
    assert np.nanmean(result.turn) > np.nanmean(result.fresh_turn) + 0.1
    assert (result.to_output[:, -1] > result.other_output[:, -1] + 0.1).all()
    assert result.to_output[:, -1].mean() > result.to_output[:, 1].mean()
    again = api.run("trajectories", m, texts=texts, basis=m.n_layers)
    assert not np.allclose(again.place, result.place)
    np.testing.assert_allclose(again.straight, result.straight)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no text"),
        ({"texts": "one"}, "list of texts"),
        ({"texts": ["a"] * 99}, "at most 24"),
        ({"text": TEXT, "position": 99}, "text 1 has tokens"),
        ({"text": TEXT, "basis": 99}, "basis is 'all'"),
        ({"texts": ["the cat", "the mat"], "basis": 1}, "three paths"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(
    llama: Loaded, options: dict[str, object], words: str
) -> None:
    with pytest.raises(api.Error, match=words):
        api.run("trajectories", llama, **options)


def test_one_token_alone_has_a_path(llama: Loaded) -> None:
    result = api.run("trajectories", llama, text=TEXT, position=2)
    assert result.place.shape == (1, llama.n_layers + 1, 2)
    assert np.isfinite(result.place).all()
    drawing.figure(result, Look())


@pytest.mark.parametrize("dark", [False, True])
def test_figures_are_harmless_and_survive_being_saved(
    llama: Loaded, dark: bool, tmp_path: Path
) -> None:
    result = api.run("trajectories", llama, text="<u>x</u> $a$ & one two")
    again = api.open_result(result.save(tmp_path))
    for view in drawing.VIEWS:
        figure = drawing.figure(again, Look(dark=dark), view=view)
        assert figure.layout.xaxis.title.text
        assert figure.layout.yaxis.title.text
        assert "<u" not in str(figure.to_dict())
        assert "$a" not in str(figure.to_dict())
    assert "random directions" in drawing.caption(again)
    assert "fresh weights" in drawing.caption(again)


def test_where_nothing_is_foretold_the_view_of_tokens_is_refused(
    tiny: Callable[[str], Path],
) -> None:
    result = api.run("trajectories", api.load(tiny("bert"), device="cpu"), text=TEXT)
    assert any("token foretold" in note for note in result.notes)
    with pytest.raises(api.Error, match="look at the plane"):
        drawing.figure(result, Look(), view="tokens")
