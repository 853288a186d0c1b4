"""Copying on activations: planted copiers, an independent product, chance, and where it ends."""

import numpy as np
import pytest
import torch

from core.analyses.head_copying import copying
from core.analyses.head_texts import copying_rows
from core.engine.head_probe import head_weights
from core.engine.head_weights import heads_of, scaled
from core.engine.readout import reading_matrix
from core.engine.rows import rows
from core.figures import head_scores as drawn
from tests import planted_heads
from tests.core.head_models import Model, model, scores

__all__ = ["model"]  # a fixture


@pytest.mark.parametrize(
    ("name", "head"),
    [("P1", planted_heads.GPT2_INDUCTION), ("P2", planted_heads.LLAMA_INDUCTION)],
)
def test_the_planted_induction_head_raises_what_it_looks_at_and_no_other_does(
    name: str, head: tuple[int, int], model: Model
) -> None:
    found = scores(model(name), embedding="raw")
    values = found.scores["copy_activation"].copy()
    assert values[head] > 0.9
    assert found.scores["suppress_activation"][head] < 0.01
    assert found.control["copy_activation"][head] < 0.1
    values[head] = 0
    assert values.max() < 0.1
    assert (found.n_copied, found.copy_chance) == (16 * 25, 1 / 26)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox"])
def test_the_score_is_that_of_values_weighed_by_eager_attention(name: str, model: Model) -> None:
    loaded = model(name)
    found = scores(loaded)
    made = copying_rows(loaded, 16, 0)
    assert made is not None
    layer, start = 1, made.before + made.copy
    text = rows(loaded, made.ids)
    with torch.no_grad():
        states = loaded.module(text.ids, output_hidden_states=True).hidden_states[layer]
    heads, say = head_weights(loaded, layer), reading_matrix(loaded)
    x = scaled(loaded, layer, states)
    values = heads_of(x, heads.v, heads.b_v)
    for head in range(loaded.n_heads):
        shares = []
        for row, ids in enumerate(made.ids):
            pattern = _pattern(loaded, text.ids[row : row + 1], layer, head)
            different = list(dict.fromkeys(ids))
            for query in range(start, start + made.copy):
                z = pattern[query] @ values[row, :, heads.kv(head)]
                logits = say[different] @ (z @ heads.o[head])
                raised = (logits - logits.mean()).clamp_min(0)
                most = different.index(ids[int(pattern[query].argmax())])
                shares.append(float(raised[most] / raised.sum()))
        assert found.scores["copy_activation"][layer, head] == pytest.approx(
            np.mean(shares), abs=5e-3
        )


def _pattern(loaded: object, ids: torch.Tensor, layer: int, head: int) -> torch.Tensor:
    """[query, key] as the library hands it out with its eager attention."""
    module = loaded.module  # type: ignore[attr-defined]
    before = module.config._attn_implementation
    module.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            whole = module(ids, output_attentions=True).attentions[layer]
    finally:
        module.set_attn_implementation(before)
    pattern: torch.Tensor = whole[0, head]
    return pattern


def test_a_head_that_writes_nothing_copies_nothing() -> None:
    table, most = torch.randn(2, 5, 8), torch.zeros(2, 3, 4, dtype=torch.long)
    assert (copying(torch.zeros(2, 3, 4, 8), table, most) == 0).all()


def test_a_single_raised_token_is_all_of_the_score_or_none() -> None:
    table = torch.eye(6)[None]
    written = torch.zeros(1, 1, 2, 6)
    written[..., 4] = 1.0
    most = torch.tensor([[[4, 2]]])
    raised, lowered = copying(written, table, most)
    assert float(raised) == 0.5
    assert float(lowered) == pytest.approx(0.5 * 1 / 5)


def test_where_no_attention_can_be_read_the_score_is_left_out(model: Model) -> None:
    found = scores(model("t5"))
    assert np.isnan(found.scores["copy_activation"]).all()
    assert found.n_copied == 0
    assert "on activations" not in drawn.caption(found)
    assert "on activations" in drawn.caption(scores(model("P1"), embedding="raw"))


def test_an_encoder_is_read_on_both_sides(model: Model) -> None:
    found = scores(model("bert"), against="embedding")
    assert np.isfinite(found.scores["copy_activation"]).all()
    assert np.isfinite(found.control["suppress_activation"]).all()
