"""Heads by their weights: every family answers or says why not; bad input is a sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses.head_composition import head_composition
from core.analyses.head_successor import head_successor
from core.analyses.runs import Silent
from core.results.base import Result, read_parts
from core.results.table import result_class
from core.spec.errors import Error
from tests.core.head_models import Model, model, ovqk, scores

__all__ = ["model"]  # a fixture

# Every layout of the maps and every way of positions; test_head_weights has all families.
KINDS = ["gpt_neo", "gptj", "opt", "bloom", "mpt", "falcon", "falcon_alibi", "mixtral", "smollm3"]
KINDS += ["phi", "phi3", "glm4", "gemma3", "cohere_qk_norm", "cohere2", "granite"]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_decoder_answers_by_its_weights(
    name: str, model: Model, tmp_path: Path
) -> None:
    loaded = model(name)
    answers: tuple[Result, ...] = (
        scores(loaded),
        ovqk(loaded, k=3),
        head_composition(loaded, Silent()),
    )
    for answer in answers:
        again = read_parts(answer.save(tmp_path / answer.name))
        assert result_class(again[0]).build(again[1], again[2]).labels() == answer.labels()
        assert len(answer.to_frame()) > 0
        for key, array in answer.arrays().items():
            known = array.dtype.kind != "f" or np.isfinite(array).any() or "name" in key
            assert known or "successor" in key, key


@pytest.mark.parametrize(("name", "stack"), [("t5", "enc"), ("bert", ""), ("roberta", "")])
def test_stacks_without_an_unembedding_say_so_and_are_read_against_the_embedding(
    name: str, stack: str, model: Model
) -> None:
    loaded = model(name)
    for ask in (scores, ovqk):
        with pytest.raises(Error, match="unembedding"):
            ask(loaded, stack=stack)
        assert ask(loaded, stack=stack, against="embedding").stack == stack
    one = ovqk(loaded, stack=stack, against="embedding", offset=-1)
    assert one.offsets["offsets"][0] == -one.offsets["offsets"][-1]


def test_the_decoder_of_two_stacks_is_read_like_any_other(model: Model) -> None:
    one = ovqk(model("t5"))
    assert (one.position, one.embedding) == ("added", "effective")
    assert np.ptp(one.offsets["score"]) > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layer": 9}, "has layers 0 to 2"),
        ({"head": 6}, "has head 0 to 5"),
        ({"head": -1}, "a head is a whole number"),
        ({"token": ""}, "the search is empty"),
        ({"token": "/ing$/"}, "about words, not about a pattern"),
        ({"offset": 64}, "take a whole number from 0 to 63"),
        ({"offset": -1}, "a token sees only itself and what stands in front"),
        ({"offset": 1.5}, "take a whole number"),
        ({"embedding": "mlp"}, "use effective or raw"),
        ({"against": "nothing"}, "cannot read against"),
        ({"k": 0}, "from 1 to"),
        ({"stack": "enc"}, "no encoder stack"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    options: dict[str, Any], words: str, model: Model
) -> None:
    with pytest.raises(Error, match=words):
        ovqk(model("llama"), **options)


def test_a_word_without_a_token_is_named(model: Model) -> None:
    with pytest.raises(Error, match="no token of P3 stands for"):
        ovqk(model("P3"), token="Monday zebra")


def test_unknown_and_too_short_lists_are_named(model: Model) -> None:
    with pytest.raises(Error, match="no list 'weeks'; there are digits_1_200"):
        head_successor(model("P3"), Silent(), layer=0, head=0, sequence="weeks")
    with pytest.raises(Error, match="only 0 of the 4 items of seasons are single tokens"):
        head_successor(model("P3"), Silent(), layer=0, head=0, sequence="seasons")


def test_one_head_and_one_layer_have_no_neighbours(tmp_path: Path) -> None:
    from tests.tiny import make

    folder = make("gpt2", tmp_path / "one", n_head=1, n_layer=1)
    loaded = api.load(folder, device="cpu")
    one = ovqk(loaded, layer=0)
    assert one.control_head == -1
    assert np.isnan(one.pair_control_z)
    assert np.isnan(one.ov["control_z"]).all()
    with pytest.raises(Error, match="has one layer"):
        head_composition(loaded, Silent())


def test_weights_are_left_as_they_were_and_hooks_are_gone(model: Model) -> None:
    loaded = model("qwen3")
    before = [weight.clone() for weight in loaded.module.parameters()]
    scores(loaded)
    ovqk(loaded)
    for weight, old in zip(loaded.module.parameters(), before, strict=True):
        assert torch.equal(weight, old)
    left = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in loaded.module.modules()]
    assert sum(left) == 0
