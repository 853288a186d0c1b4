"""The exact local linear map: parts that add up in every family, and maps taken apart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses import local_map_vectors
from core.engine.detached import detached, graph, precise, rows_of_map
from core.engine.rows import text_rows
from core.figures import local_map as drawing
from core.figures.theme import Look
from core.models.build import build
from core.models.library import open_model
from core.models.loaded import Loaded
from core.spec.request import ModelRef
from tests.core.copies import writable
from tests.families.recipes import FAMILIES

TEXT = "the cat sat on the mat"
# The row of DistilBERT is missing from the table, the experts of Mixtral are one fused map.
EXACT = [name for name in FAMILIES if name not in ("distilbert", "mixtral")]
ENCODERS = ("bert", "roberta")


def fresh(folder: Path) -> Loaded:
    ref = ModelRef(str(folder))
    return build(open_model(ref, device="cpu"), ref)


@pytest.fixture(scope="module")
def embedded() -> Loaded:
    return api.load("embedded", device="cpu")


@pytest.mark.parametrize("family", EXACT)
def test_parts_and_constants_are_the_score_in_every_family(
    tiny: Callable[[str], Path], family: str
) -> None:
    m = fresh(tiny(family))
    result = api.run("local_map", m, text=TEXT)
    size = np.abs(result.part).sum() + np.abs(result.constant).sum()
    assert result.dtype == "float64"
    assert result.miss < 1e-10 * size
    rows = result.layer_part.sum(axis=1) + result.layer_constant
    np.testing.assert_allclose(rows, result.score, atol=1e-10 * size)
    assert result.ordinary_miss > 1e-3  # nothing held: the same sum is not the score
    assert result.target == ("length" if family in ENCODERS else "logit")
    assert result.said == pytest.approx(result.score, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2", "cohere", "granite", "opt", "gptj"])
def test_the_score_is_the_logit_of_the_model_itself(
    tiny: Callable[[str], Path], family: str
) -> None:
    m = fresh(tiny(family))
    logits = api.logits(m, TEXT)[-1]
    result = api.run("local_map", m, text=TEXT)
    assert result.score == pytest.approx(float(logits.max()), rel=1e-4)
    other = int(np.argsort(-logits)[1])
    pair = api.run("local_map", m, text=TEXT, against=other)
    assert pair.score == pytest.approx(float(logits.max() - logits[other]), rel=1e-3, abs=1e-4)


def test_a_capped_logit_is_split_in_front_of_its_cap(tiny: Callable[[str], Path]) -> None:
    m = fresh(tiny("gemma2"))
    result = api.run("local_map", m, text=TEXT)
    assert 8.0 * np.tanh(result.score / 8.0) == pytest.approx(
        float(api.logits(m, TEXT)[-1].max()), rel=1e-4
    )


def test_experts_in_one_fused_map_are_refused_with_a_sentence(tiny: Callable[[str], Path]) -> None:
    with pytest.raises(api.Error, match="experts in one fused map"):
        api.run("local_map", fresh(tiny("mixtral")), text=TEXT)


def test_the_embedded_models_map_is_exact_and_its_ordinary_gradient_is_not(
    embedded: Loaded,
) -> None:
    result = api.run("local_map", embedded, text="The capital of France is")
    assert result.answer == " Paris"
    assert result.miss < 1e-10
    assert result.ordinary_miss > 0.5 * result.score
    france = result.tokens.index(" France")
    assert int(result.part.argmax()) == france
    assert result.part[france] > 3 * result.shuffled_high[france]
    assert len(result.constant) == 0  # this model has neither biases nor a table of positions


def test_where_blocks_write_nothing_only_the_asked_token_counts(llama: Loaded) -> None:
    m = writable(llama)
    with torch.no_grad():
        for block in m.stacks[""].blocks:
            block.heads.weight.zero_()  # type: ignore[operator]
            block.neurons.weight.zero_()  # type: ignore[union-attr, operator]
    result = api.run("local_map", m, text=TEXT)
    assert np.abs(result.part[:-1]).max() == 0
    assert result.part[-1] == pytest.approx(float(api.logits(m, TEXT)[-1].max()), rel=1e-5)


def test_biases_and_positions_are_bars_of_their_own(gpt2: Loaded) -> None:
    result = api.run("local_map", gpt2, text=TEXT)
    assert result.constants == ("positions", "biases")
    assert np.abs(result.constant).min() > 1e-3
    m = writable(gpt2)
    with torch.no_grad():
        m.module.transformer.wpe.weight.zero_()  # type: ignore[union-attr]
    assert api.run("local_map", m, text=TEXT).constant[0] == 0


def test_the_map_leaves_nothing_behind(llama: Loaded) -> None:
    before = api.logits(llama, TEXT)
    result = api.run("local_map", llama, text=TEXT)
    again = api.run("local_map", llama, text=TEXT)
    assert (result.part == again.part).all()
    assert (api.logits(llama, TEXT) == before).all()
    assert not any(parameter.requires_grad for parameter in llama.module.parameters())
    with pytest.raises(RuntimeError, match="on purpose"), detached(llama):
        raise RuntimeError("on purpose")
    assert not any(module._forward_hooks for module in llama.module.modules())


def test_the_maps_rebuild_the_state_they_lead_to(llama: Loaded) -> None:
    m = precise(llama)
    with graph(m, text_rows(m, TEXT)) as made:
        state = made.state[0, -1]
        parts = [part[0] for _, part in rows_of_map(state, made.embeddings, lambda: None, 7)]
    whole = torch.cat(parts)[:, 0]  # [out, token, in]
    rebuilt = torch.einsum("oti,ti->o", whole, made.embeddings[0][0].detach())
    np.testing.assert_allclose(rebuilt, state.detach(), atol=1e-10)


def test_stable_ranks_are_those_of_the_singular_values() -> None:
    rng = torch.Generator().manual_seed(1)
    maps = torch.randn(3, 20, 12, generator=rng, dtype=torch.float64)
    maps[1] = torch.outer(maps[0, :, 0], maps[0, 0])  # rank one
    values = torch.linalg.svdvals(maps)
    wanted = values.square().sum(-1) / values[:, 0].square()
    found = local_map_vectors.stable_ranks(maps)
    np.testing.assert_allclose(found, wanted, rtol=1e-2)
    assert found[1] == pytest.approx(1.0)
    assert torch.isnan(local_map_vectors.stable_ranks(torch.stack([maps[0], 0 * maps[0]]))[1])


def test_the_strongest_pair_says_what_the_model_says_and_reads_what_stands_there(
    embedded: Loaded,
) -> None:
    result = api.run("local_map", embedded, text="The capital of France is", maps=True, k=3)
    france = result.tokens.index(" France")
    assert result.mapped == (len(result.tokens) - 1, france)
    assert " Paris" in result.says[1][0]
    assert " France" in result.reads[1][0]
    assert 0.5 < result.use[1, 0] <= 1
    assert result.stable_rank.shape == (embedded.n_layers, len(result.tokens))
    assert np.nanmean(result.stable_rank) < 0.5 * np.nanmean(result.fresh_rank)
    for view in drawing.VIEWS:
        drawing.figure(result, Look(), view=view, which=1)


def test_what_cannot_be_asked_is_a_sentence(
    llama: Loaded, tiny: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for options, words in (
        ({"position": 99}, "the text has tokens"),
        ({"answer": "no such token at all"}, "not one token"),
        ({"maps": True, "k": 0}, "number of pairs"),
    ):
        with pytest.raises(api.Error, match=words):
            api.run("local_map", llama, text=TEXT, **options)
    with pytest.raises(api.Error, match="leave answer= empty"):
        api.run("local_map", fresh(tiny("bert")), text=TEXT, answer="a")
    monkeypatch.setattr(local_map_vectors, "MOST_BYTES", 100_000)
    with pytest.raises(api.Error, match="shorten the text"):
        api.run("local_map", llama, text=TEXT, maps=True)


@pytest.mark.parametrize("dark", [False, True])
def test_figures_are_harmless_and_survive_being_saved(
    gpt2: Loaded, dark: bool, tmp_path: Path
) -> None:
    result = api.run("local_map", gpt2, text="<u>x</u> $a$ & one two")
    again = api.open_result(result.save(tmp_path))
    for view in ("tokens", "layers"):
        words = str(drawing.figure(again, Look(dark=dark), view=view).to_dict())
        assert "<u" not in words
        assert "$a" not in words
    assert "miss the score" in drawing.caption(again)
    with pytest.raises(api.Error, match="maps=True"):
        drawing.figure(again, Look(dark=dark), view="ranks")
