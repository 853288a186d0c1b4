"""Channels of composition: a planted one is found, values are those of dense products."""

import copy
import re
from typing import Any

import pytest
import torch

from core.analyses.head_channels import N_CHANNELS
from core.analyses.head_composition import head_composition
from core.analyses.runs import Silent
from core.engine.head_probe import head_weights
from core.figures import head_composition as drawn
from core.figures.theme import Look
from core.models.loaded import Loaded, rebuilt
from core.results.head_composition import KINDS, HeadComposition
from core.spec.errors import Error
from tests.core.head_models import Model, model
from tests.pages import head_weight_samples as samples
from tests.planted_heads import TOKEN

__all__ = ["model"]  # a fixture

SIZE, WIDE = 64, 256  # of a head, of the model
SAID = 200  # a coordinate that nothing else uses


def with_a_channel(loaded: Loaded) -> Loaded:
    """L0.head[2] writes one coordinate in one way only; queries of L1.head[3] listen to it."""
    made = rebuilt(loaded, copy.deepcopy(loaded.module))
    first: Any
    second: Any
    made.memo = {}
    first, second = (block.whole.attn for block in made.stacks[""].blocks)
    with torch.no_grad():
        own = slice(2 * SIZE, 3 * SIZE)
        first.c_attn.weight[:, 2 * WIDE :][:, own] *= 0.1
        first.c_attn.weight[TOKEN, 2 * WIDE + 2 * SIZE] = 1.0
        first.c_proj.weight[own] *= 0.1
        first.c_proj.weight[2 * SIZE, SAID] = 1.0
        second.c_attn.weight[SAID, 3 * SIZE : 4 * SIZE] = 0.5
    return made


@pytest.fixture(scope="module")
def planted(model: Model) -> HeadComposition:
    return head_composition(with_a_channel(model("P1")), Silent())


def test_the_planted_channel_stands_out_to_the_one_head_that_listens(
    planted: HeadComposition,
) -> None:
    heard = planted.channel_frame("q")
    first = heard.iloc[0]
    assert (first.early, first.late, first.channel) == ("L0.head[2]", "L1.head[3]", 0)
    assert first.outlier > 4
    assert first.z > 30
    assert first.strength > 0.9
    assert first.value > 5 * heard.iloc[1].value
    assert planted.n_outliers[0] == 1
    assert planted.random_outlier[0] < 4
    for kind in ("k", "v"):
        rest = planted.channel_frame(kind)
        assert not ((rest.early == first.early) & (rest.channel == 0) & (rest.z > 4)).any()


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
def test_values_are_those_of_dense_products(name: str, model: Model) -> None:
    loaded = model(name)
    found = head_composition(loaded, Silent())
    for kind in KINDS:
        for row in found.channel_frame(kind).head(4).itertuples():
            (a, h), (b, g) = (map(int, re.findall(r"\d+", site)) for site in (row.early, row.late))
            early, late = head_weights(loaded, a), head_weights(loaded, b)
            v, o = (part.double() for part in early.ov(h))
            left, values, right = torch.linalg.svd(v @ o)
            query, key = (part.double() for part in late.qk(g))
            reads = {"q": query @ key.T, "k": key @ query.T}
            other = reads.get(kind, torch.matmul(*(part.double() for part in late.ov(g))))
            wanted = (right[row.channel] @ other).norm() / other.norm()
            assert row.value == pytest.approx(float(wanted), rel=2e-3)
            power = values.square()
            assert row.strength == pytest.approx(float(power[row.channel] / power.sum()), rel=1e-3)
            assert left.shape == (loaded.d_model, loaded.d_model)


def test_every_channel_is_heard_by_every_later_head(planted: HeadComposition) -> None:
    assert planted.n_channels == N_CHANNELS
    assert planted.n_heard == 4 * N_CHANNELS * 4  # four heads of each of two layers
    table = planted.channels
    assert (table["early"] // 4 < table["late"] // 4).all()


def test_the_channels_are_drawn_beside_chance() -> None:
    result = samples.head_composition()
    fig = drawn.figure(result, Look(), kind="k", view="channels")
    assert len(fig.data[0].x) == drawn.ROWS
    assert fig.layout.shapes[0].x0 == pytest.approx(3.2)
    assert "2 channels beyond 4" in drawn.channels_title(result)
    assert "200 random directions" in drawn.caption(result)
    with pytest.raises(Error, match="pairs, channels"):
        drawn.figure(result, Look(), view="arcs")
