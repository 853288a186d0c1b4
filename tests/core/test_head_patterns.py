"""Small pictures of all patterns: the numbers of `attention`, pooled, for every kind of model."""

from pathlib import Path

import numpy as np
import pytest

from core import api
from core.models.loaded import Loaded
from core.spec.errors import Error
from tests import tiny

TEXT = "the cat sat on the mat and the dog sat on the cat"


def loaded(family: str, folder: Path, **changes: object) -> Loaded:
    return api.load(tiny.make(family, folder, **changes))


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "qwen3", "bert", "t5", "falcon"])
def test_a_picture_is_the_pattern_of_its_head(family: str, tmp_path: Path) -> None:
    model = loaded(family, tmp_path / "m")
    found = api.run("head_patterns", model, text=TEXT)
    assert found.step == 1
    layers, heads = found.entropy.shape
    for layer, head in ((0, 0), (layers - 1, heads - 1)):
        one = api.run("attention", model, text=TEXT, layer=layer, head=head)
        np.testing.assert_array_equal(found.tiles[layer, head], one.pattern)
        assert found.entropy[layer, head] == pytest.approx(one.entropy.mean(), abs=1e-5)


def test_a_cell_of_a_long_text_is_the_largest_weight_in_it(tmp_path: Path) -> None:
    model = loaded("gpt2", tmp_path / "m")
    whole = api.run("head_patterns", model, text=TEXT, layer=1)
    small = api.run("head_patterns", model, text=TEXT, layer=1, side=4)
    n, step = len(whole.tokens), small.step
    assert step == -(-n // 4)
    assert small.tiles.shape[2:] == (-(-n // step),) * 2
    for row, column in ((0, 0), (1, 0), (2, 1), (2, 2)):
        part = np.s_[row * step : (row + 1) * step, column * step : (column + 1) * step]
        assert small.tiles[0, 2, row, column] == whole.tiles[0, 2][part].max()
    np.testing.assert_array_equal(small.strongest, whole.strongest)


def test_the_strongest_pair_is_of_two_different_tokens_and_not_the_first(tmp_path: Path) -> None:
    model = loaded("gpt2", tmp_path / "m")
    found = api.run("head_patterns", model, text=TEXT)
    for head in range(found.entropy.shape[1]):
        pattern = found.tiles[1, head].astype(int)
        np.fill_diagonal(pattern, -1)
        pattern[:, 0] = -1
        query, key = found.strongest_query[1, head], found.strongest_key[1, head]
        assert pattern[query, key] == pattern.max()
        assert found.strongest[1, head] == pytest.approx(pattern.max() / 255, abs=0.003)


def test_uniform_attention_is_the_control_of_the_entropy(tmp_path: Path) -> None:
    found = api.run("head_patterns", loaded("gpt2", tmp_path / "m"), text=TEXT)
    seen = np.arange(1, len(found.tokens) + 1)
    assert found.uniform_entropy == pytest.approx(np.log(seen).mean())
    assert (found.entropy <= np.log(seen).mean() + 1e-5).all()


def test_one_layer_is_the_same_as_that_layer_of_all(tmp_path: Path) -> None:
    model = loaded("gpt2", tmp_path / "m")
    every = api.run("head_patterns", model, text=TEXT)
    one = api.run("head_patterns", model, text=TEXT, layer=2)
    assert one.layers.tolist() == [2]
    np.testing.assert_array_equal(one.tiles[0], every.tiles[2])
    assert one.site(0, 1) == every.site(2, 1) == "L2.head[1]"


def test_one_token_has_a_picture(tmp_path: Path) -> None:
    found = api.run("head_patterns", loaded("gpt2", tmp_path / "m"), text="a")
    assert found.tiles.shape[2:] == (1, 1)
    assert (found.tiles == 255).all()


def test_144_heads_on_256_tokens_are_less_than_a_megabyte(tmp_path: Path) -> None:
    model = loaded("gpt2", tmp_path / "m", n_layer=12, n_head=12, n_positions=260)
    found = api.run("head_patterns", model, text="a " * 255)
    assert len(found.tokens) > 200
    assert found.tiles.shape[:2] == (12, 12)
    assert found.tiles.nbytes < 1_000_000


@pytest.mark.parametrize("side", [0, 1, 257, 4.5, "8"])
def test_a_side_that_is_none_is_refused(side: object, tmp_path: Path) -> None:
    with pytest.raises(Error, match="side must be a whole number"):
        api.run("head_patterns", loaded("gpt2", tmp_path / "m"), text=TEXT, side=side)


def test_a_text_whose_patterns_would_not_fit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.analyses.head_patterns.MOST_BYTES", 4 * 3 * 100)
    with pytest.raises(Error, match="at most 10 tokens"):
        api.run("head_patterns", loaded("gpt2", tmp_path / "m"), text="a b " * 20)
