"""The matrices of heads against the running attention of every family."""

import dataclasses
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.engine import attention
from core.engine.forward import run
from core.engine.head_probe import head_weights, positions
from core.engine.head_weights import heads_of, scaled
from core.engine.readout import centres
from core.engine.rows import Rows, rows
from core.models.build import build
from core.models.families import FAMILIES
from core.models.library import open_model
from core.models.loaded import Loaded, assemble
from core.spec.errors import Error
from core.spec.request import ModelRef
from core.spec.site import Site
from tests.families.recipes import FAMILIES as RECIPES

NAMES = [name for name in RECIPES if name != "distilbert"]  # refused at the door
PLACES = [(name, "") for name in NAMES] + [("t5", "enc"), ("t5_gated", "enc")]
OUTPUTS = {"gpt_neo", "gptj", "bloom", "mpt", "falcon", "falcon_grouped", "falcon_alibi"}
IDS = [9, 14, 21, 9, 33, 40, 14, 27, 19]
Tiny = Callable[[str], Path]
Model = Callable[[str], Loaded]


@pytest.fixture(scope="module")
def model(tiny: Tiny) -> Model:
    """`model("llama")`: loaded and proved once, and kept, since all of them are tiny."""

    @cache
    def load(name: str) -> Loaded:
        ref = ModelRef(str(tiny(name)))
        return build(open_model(ref, device="cpu"), ref)

    return load


def text(loaded: Loaded, stack: str) -> Rows:
    made = rows(loaded, [IDS])
    if made.targets is None or stack:
        return made
    return Rows(made.ids, made.lengths, torch.tensor([IDS]))


def seen(loaded: Loaded, stack: str, layer: int, *parts: str) -> list[Tensor]:
    """What stands at the sites of one layer while the model reads the tokens."""
    sites = [Site(layer, part, stack=stack) for part in parts]  # type: ignore[arg-type]
    values = run(loaded, text(loaded, stack), read=sites, logits="none").values
    return [values[site][0] for site in sites]


def shared(values: Tensor, n_heads: int) -> Tensor:
    """Keys or values [token, kv_head, d_head] as every query head sees them."""
    return values.repeat_interleave(n_heads // values.shape[1], dim=1)


@pytest.mark.parametrize(("name", "stack"), PLACES)
def test_values_seen_through_the_pattern_are_what_every_head_has(
    name: str, stack: str, model: Model
) -> None:
    loaded = model(name)
    for layer in range(len(loaded.stacks[stack].blocks)):
        stream, pattern, z = seen(loaded, stack, layer, "resid_pre", "pattern", "head")
        heads = head_weights(loaded, layer, stack)
        value = heads_of(scaled(loaded, layer, stream, stack), heads.v, heads.b_v)
        made = torch.einsum("hqk,khe->qhe", pattern, shared(value, heads.n_heads))
        torch.testing.assert_close(made, z, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "stack"), PLACES)
def test_outputs_of_all_heads_add_up_to_what_attention_writes(
    name: str, stack: str, model: Model
) -> None:
    loaded = model(name)
    layer = len(loaded.stacks[stack].blocks) - 1
    block, scale = loaded.stacks[stack].blocks[layer], loaded.stacks[stack].stream_scale
    z, wanted = seen(loaded, stack, layer, "head", "attn_out")
    heads = head_weights(loaded, layer, stack)
    made = torch.einsum("the,hed->td", z, heads.o) + heads.b_o
    if block.post_attn is not None:  # folded but for what that norm divides by, at each token
        assert not centres(block.post_attn)
        ratio = (wanted * made).sum(-1) / (made * made).sum(-1)
        made = made * ratio[:, None]
        assert (ratio > 0).all()
    torch.testing.assert_close(made * scale, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "stack"), [p for p in PLACES if p[0] not in OUTPUTS])
def test_queries_and_keys_are_those_that_attention_receives(
    name: str, stack: str, model: Model
) -> None:
    loaded = model(name)
    received: list[tuple[Tensor, Tensor]] = []

    def hear(_: Any, query: Tensor, key: Tensor, *__: Any) -> None:
        received.append((query[0].transpose(0, 1), key[0].transpose(0, 1)))

    layer = len(loaded.stacks[stack].blocks) - 1
    own = Site(layer, "resid_pre", stack=stack)
    head = Site(layer, "head", stack=stack)
    with attention.listening(hear):
        values = run(loaded, text(loaded, stack), read=[own, head], logits="none").values
    # A decoder beside an encoder: behind it, and self-attention in front of cross-attention.
    beside = bool(loaded.row.cross) and not stack
    first = len(loaded.stacks["enc"].blocks) if beside else 0
    query, key = received[first:][layer * (2 if beside else 1)]
    x = scaled(loaded, layer, values[own][0], stack)
    heads, here = head_weights(loaded, layer, stack), positions(loaded, stack)[layer]
    divided = loaded.d_head**-0.5 if loaded.row.scaled_queries else 1.0
    for wanted, maps, bias, norm, factor in (
        (query, heads.q, heads.b_q, heads.norm_q, divided),
        (key, heads.k, heads.b_k, heads.norm_k, 1.0),
    ):
        plain = heads_of(x, maps, bias, norm) * factor
        made = torch.stack([here.turned(one, place) for place, one in enumerate(plain)])
        torch.testing.assert_close(made, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "stack"), PLACES)
def test_scores_at_each_offset_give_the_models_own_pattern(
    name: str, stack: str, model: Model
) -> None:
    loaded = model(name)
    for layer in range(len(loaded.stacks[stack].blocks)):
        stream, pattern = seen(loaded, stack, layer, "resid_pre", "pattern")
        heads, here = head_weights(loaded, layer, stack), positions(loaded, stack)[layer]
        x = scaled(loaded, layer, stream, stack)
        query = heads_of(x, heads.q, heads.b_q, heads.norm_q)
        key = shared(heads_of(x, heads.k, heads.b_k, heads.norm_k), heads.n_heads)
        for head in range(heads.n_heads):
            score = torch.stack(
                [
                    torch.cat(
                        [
                            here.scores(query[i : i + 1, head], key[j : j + 1, head], i - j, head)
                            for j in range(len(x))
                        ],
                        dim=1,
                    )[0]
                    for i in range(len(x))
                ]
            )
            allowed = pattern[head] > 0
            made = torch.softmax(score.masked_fill(~allowed, -torch.inf), dim=-1)
            torch.testing.assert_close(made, pattern[head], atol=1e-4, rtol=1e-3)


def test_windows_and_caps_are_those_of_the_layer(model: Model) -> None:
    assert [each.window for each in positions(model("gemma2"))] == [5, 0, 5]
    assert positions(model("gemma2"))[0].cap == 2.0
    assert [each.cos is not None for each in positions(model("smollm3"))] == [True, False, True]


@pytest.mark.parametrize(
    ("name", "broken", "what"),
    [
        ("gpt_neox", {"fused": "blocks"}, "values"),
        ("phi3", {"fused": "groups"}, "values"),
        ("falcon", {"fused": "blocks", "rotary": "neighbours"}, "queries and keys"),
        ("cohere", {"rotary": "halves"}, "queries and keys"),
        ("llama", {"rotary": ""}, "queries and keys"),
        ("opt", {"scaled_queries": False}, "queries and keys"),
        ("gpt_neo", {"unscaled": False}, "queries and keys"),
        ("qwen3", {"norm_queries": ""}, "queries and keys"),
        ("smollm3", {"rotary_in": ("", None)}, "queries and keys"),
        ("bloom", {"position_bias": ""}, "queries and keys"),
        ("llama", {"queries": "self_attn.k_proj"}, "do not hold 6 heads of 8"),
    ],
)
def test_a_wrong_row_is_refused_in_a_sentence(
    name: str, broken: dict[str, Any], what: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAMILIES, name, dataclasses.replace(FAMILIES[name], **broken))
    ref = ModelRef(str(tiny(name)))
    loaded = build(open_model(ref, device="cpu"), ref)
    with pytest.raises(Error, match=what):
        head_weights(loaded, 0)


def test_maps_that_are_elsewhere_are_said_to_be_unknown(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = dataclasses.replace(FAMILIES["llama"], values="self_attn.no_such_map")
    monkeypatch.setitem(FAMILIES, "llama", row)
    ref = ModelRef(str(tiny("llama")))
    loaded = build(open_model(ref, device="cpu"), ref)
    with pytest.raises(Error, match="not known where llama keeps its queries, keys and values"):
        head_weights(loaded, 0)


def test_a_model_that_hides_its_patterns_is_refused(tiny: Tiny) -> None:
    ref = ModelRef(str(tiny("llama")))
    loaded = assemble(open_model(ref, device="cpu"), ref)  # not proved: no source of patterns
    with pytest.raises(Error, match="does not hand out its attention patterns"):
        head_weights(loaded, 0)


def test_layers_and_heads_that_are_not_there_are_named(model: Model) -> None:
    with pytest.raises(Error, match="layers 0 to 2"):
        head_weights(model("llama"), 3)
    with pytest.raises(Error, match="whole number"):
        head_weights(model("llama"), -1)
    with pytest.raises(Error, match="no encoder stack"):
        head_weights(model("llama"), 0, "enc")
