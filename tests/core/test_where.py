"""Changes at some tokens only: the text that names them, and what happens there."""

import dataclasses

import numpy as np
import pytest
import torch

from core import api
from core.engine.forward import run
from core.engine.generate import generate
from core.engine.rows import Rows, text_rows
from core.models.loaded import Loaded
from core.spec.interventions import Control, from_plain, to_plain
from core.spec.request import ModelRef, ask
from core.spec.where import acts, canonical

TEXT = "the cat sat on the mat"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", ""),
        ("all", ""),
        ("prompt", "prompt"),
        ("generated", "generated"),
        ("7", "7"),
        ("3 - 7", "3-7"),
        ("9-, 2,5", "2,5,9-"),
        ("3-5,4-8", "3-8"),
        ("5,4,3", "3-5"),
        ("4-4", "4"),
        ("2,9-,11-12", "2,9-"),
        ("0-", ""),
    ],
)
def test_tokens_have_one_way_to_be_written(written: str, meant: str) -> None:
    assert canonical(written) == meant
    assert canonical(meant) == meant


@pytest.mark.parametrize("text", ["7-3", "-3", "a", "1,,2", "prompt,3", "1.5", "3-7-9", "9" * 20])
def test_what_names_no_tokens_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(api.Error, match="tokens"):
        api.Clamp("L1.neuron[3]", 1.0, where=text)


def test_a_token_is_named_once_in_the_site_or_in_where() -> None:
    with pytest.raises(api.Error, match="names its token already"):
        api.Clamp("L1.neuron[3]@2", 1.0, where="prompt")


def test_which_tokens_are_meant_counts_from_the_first_of_the_text() -> None:
    assert acts("2,5-", 1, 6, 3) == [False, True, False, False, True, True]
    assert acts("prompt", 1, 4, 3) == [True, True, False, False]
    assert acts("generated", 1, 4, 3) == [False, False, True, True]


def test_a_question_from_before_there_were_tokens_keeps_its_key() -> None:
    """The keys of stored answers, as they were when changes had neither where nor center."""
    assert to_plain(api.Clamp("L1.neuron[3]", 1.5)) == {
        "kind": "clamp",
        "site": "L1.neuron[3]",
        "value": 1.5,
    }
    add = api.Add("L1.resid_post", [1.0, 2.0], 0.5)
    project = api.Project("L1.resid_post", [1.0, 2.0])
    assert set(to_plain(add)) == {"kind", "site", "direction", "coefficient"}
    assert set(to_plain(project)) == {"kind", "site", "direction"}
    asked = ask("steer", ModelRef("m"), "text", interventions=(add, project))
    assert asked.key() == "3400c72e3bbea04ec3bc1bb384cba69c26ea7c10025d6961eca447e2f0dc2fb3"


def test_a_change_at_some_tokens_reads_back_to_an_equal_one() -> None:
    change = api.Add("L1.resid_post", [1.0, 2.0], 0.5, keep_norm=True, where="2,9-")
    assert from_plain(to_plain(change)) == change
    assert to_plain(change)["where"] == "2,9-"


@pytest.mark.parametrize(
    "make",
    [
        lambda where: api.Clamp("L1.neuron[3]", 1.5, where=where),
        lambda where: api.Scale("L1.head[1]", 0.0, where=where),
        lambda where: api.Add("L1.resid_post", np.linspace(-1, 1, 36), where=where),
        lambda where: api.Limit("L1.resid_mid", low=0.0, where=where),
        lambda where: api.Ablate("L1.head[1]", "resample", where=where),
    ],
)
def test_a_range_of_tokens_is_the_same_change_at_each_of_them(llama: Loaded, make) -> None:  # type: ignore[no-untyped-def]
    some = make("1,3-4")
    one_by_one = [
        dataclasses.replace(some, site=dataclasses.replace(some.site, position=at), where="")
        for at in (1, 3, 4)
    ]
    assert (api.logits(llama, TEXT, [some]) == api.logits(llama, TEXT, one_by_one)).all()
    assert not (api.logits(llama, TEXT, [some]) == api.logits(llama, TEXT)).all()
    assert (api.logits(llama, TEXT, [make("prompt")]) == api.logits(llama, TEXT, [make("")])).all()
    assert (api.logits(llama, TEXT, [make("generated")]) == api.logits(llama, TEXT)).all()


def test_a_mean_is_that_of_the_whole_text_wherever_it_is_put_in(llama: Loaded) -> None:
    before = api.trace(llama, TEXT, ["L1.neuron[3]"])["L1.neuron[3]"]
    change = api.Ablate("L1.neuron[3]", "mean", where="1,3-4")
    after = api.trace(llama, TEXT, ["L1.neuron[3]"], interventions=[change])["L1.neuron[3]"]
    np.testing.assert_allclose(after[[1, 3, 4]], before.mean(), rtol=1e-5)
    assert (np.delete(after, [1, 3, 4]) == np.delete(before, [1, 3, 4])).all()


def test_tokens_it_does_not_act_at_keep_their_bits(llama: Loaded) -> None:
    site = "L1.resid_post"
    before = api.trace(llama, TEXT, [site])[site]
    change = api.Add(site, np.linspace(-1, 1, 36), 1e30, where="2")
    after = api.trace(llama, TEXT, [site], interventions=[change])[site]
    moved = (before != after).any(axis=1)
    assert moved.tolist() == [place == 2 for place in range(len(before))]


def test_the_control_acts_at_the_same_tokens(llama: Loaded) -> None:
    change = api.Clamp("L1.neuron[3]", 4.0, where="2,4-")
    site = "L1.neuron"
    before = api.trace(llama, TEXT, [site])[site]
    after = api.trace(llama, TEXT, [site], interventions=[Control(change, 1)])[site]
    moved = (before != after).any(axis=1)
    assert moved.tolist() == [place in (2, 4) or place > 4 for place in range(len(before))]


def test_tokens_that_a_text_does_not_have_are_left_out(llama: Loaded) -> None:
    far = api.Clamp("L1.neuron[3]", 4.0, where="500-600")
    assert (api.logits(llama, TEXT, [far]) == api.logits(llama, TEXT)).all()


def uncached(m: Loaded, change: object, n: int) -> list[int]:
    """Greedy choice by a full forward for each token, the prompt's length told."""
    rows, chosen = text_rows(m, TEXT), []
    given = rows.ids.shape[1] if rows.targets is None else rows.targets.shape[1]
    for _ in range(n):
        logits = run(m, rows, change=[[change]], logits="last", prompt=given).logits  # type: ignore[list-item]
        assert logits is not None
        chosen.append(int(logits[0, -1].argmax()))
        new = torch.tensor([[chosen[-1]]])
        if rows.targets is None:
            ids = torch.cat([rows.ids, new], dim=1)
            rows = Rows(ids, (ids.shape[1],))
        else:
            rows = dataclasses.replace(rows, targets=torch.cat([rows.targets, new], dim=1))
    return chosen


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "t5"])
@pytest.mark.parametrize("where", ["generated", "prompt", "2,8-9", ""])
def test_generation_with_the_cache_acts_at_the_tokens_of_full_forwards(
    family: str, where: str, tiny
) -> None:  # type: ignore[no-untyped-def]
    m = api.load(tiny(family), device="cpu")
    written = {}
    for change in (
        api.Scale("L1.resid_post", -3.0, where=where),
        api.Ablate("L1.mlp_out", "mean", where=where),
    ):
        new = generate(m, text_rows(m, TEXT), [[change]], max_new_tokens=6).ids[0]
        written[change] = list(new)
        assert list(new) == uncached(m, change, len(new))
    clean = list(generate(m, text_rows(m, TEXT), max_new_tokens=6).ids[0])
    assert where == "2,8-9" or any(new != clean for new in written.values())
