"""What heads cause and say: against hooks of our own, planted heads, and sums that must add up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.models.build import build
from core.models.library import open_model
from core.models.loaded import Loaded
from core.spec.request import ModelRef
from tests import planted_heads
from tests.families.recipes import FAMILIES

TEXT = "the cat sat on the mat"
STORY = "Once upon a time, there was a little girl named Lily. She loved to play outside."
ENCODERS = ("bert", "roberta", "distilbert", "t5", "t5_gated")
DECODERS = [name for name in FAMILIES if name not in ENCODERS]
REPEAT = planted_heads.repeated_text(20)


def fresh(folder: Path) -> Loaded:
    """A model of this folder that nobody else holds."""
    ref = ModelRef(str(folder))
    return build(open_model(ref, device="cpu"), ref)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Loaded]:
    root = tmp_path_factory.mktemp("planted-heads")
    return {
        "gpt2": fresh(planted_heads.gpt2(root / "gpt2")),
        "llama": fresh(planted_heads.llama(root / "llama")),
    }


PLANTED = {
    "gpt2": (planted_heads.GPT2_PREVIOUS, planted_heads.GPT2_INDUCTION),
    "llama": (planted_heads.LLAMA_PREVIOUS, planted_heads.LLAMA_INDUCTION),
}
OUTPUTS = {  # the module whose input are the heads, by hand
    "gpt2": lambda m, layer: m.transformer.h[layer].attn.c_proj,
    "llama": lambda m, layer: m.model.layers[layer].self_attn.o_proj,
    "gemma2": lambda m, layer: m.model.layers[layer].self_attn.o_proj,
    "bert": lambda m, layer: m.bert.encoder.layer[layer].attention.output.dense,
}


@contextmanager
def ablated_by_hand(m: Loaded, family: str, layer: int, head: int, to: str) -> Iterator[None]:
    """One head replaced with nothing but a hook of plain PyTorch."""

    def before(_: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        z = args[0].clone().reshape(1, -1, m.n_heads, m.d_head)
        own = z[:, :, head]
        z[:, :, head] = own.mean(dim=1, keepdim=True) if to == "mean" else 0
        return (z.reshape(args[0].shape),)

    handle = OUTPUTS[family](m.module, layer).register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


def logits_by_hand(m: Loaded, text: str) -> torch.Tensor:
    with torch.no_grad():
        return m.module(torch.tensor([m.tokenizer(text)["input_ids"]])).logits[0].double()


@pytest.mark.parametrize("to", ["mean", "zero"])
@pytest.mark.parametrize("family", OUTPUTS)
def test_effects_are_those_of_a_plain_hook(
    family: str, to: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    position = 3
    result = api.run("head_effect", m, text=TEXT, to=to, position=position, answer=11, against=7)
    clean = logits_by_hand(m, TEXT)[position]
    for layer, head in ((0, 1), (1, 0), (2, 2)):
        with ablated_by_hand(m, family, layer, head, to):
            ablated = logits_by_hand(m, TEXT)[position]
        before, after = clean.log_softmax(-1), ablated.log_softmax(-1)
        assert result.effect[layer, head] == pytest.approx(float(before[11] - after[11]), abs=1e-4)
        kl = float((before.exp() * (before - after)).sum())
        assert result.kl[layer, head] == pytest.approx(kl, abs=1e-4)
        if family != "gemma2":  # whose logits are capped
            fall = (clean[11] - clean[7]) - (ablated[11] - ablated[7])
            assert result.total[layer, head] == pytest.approx(float(fall), abs=1e-4)


def test_the_total_effect_is_that_on_logits_in_front_of_their_cap(
    tiny: Callable[[str], Path],
) -> None:
    m = api.load(tiny("gemma2"), device="cpu")
    result = api.run("head_effect", m, text=TEXT, to="zero", answer=11, against=7)
    cap = m.config.final_logit_softcapping
    assert result.cap == cap == 8.0

    def score() -> float:
        plain = cap * torch.atanh(logits_by_hand(m, TEXT)[-1] / cap)
        return float(plain[11] - plain[7])

    clean = score()
    assert result.score == pytest.approx(clean, abs=1e-4)
    with ablated_by_hand(m, "gemma2", 1, 2, "zero"):
        assert result.total[1, 2] == pytest.approx(clean - score(), abs=1e-3)


@pytest.mark.parametrize("against", ["", 9])
@pytest.mark.parametrize("family", DECODERS)
def test_what_is_written_adds_up_to_the_score(
    family: str, against: str | int, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    result = api.run("head_effect", m, text=TEXT, position=4, answer=5, against=against)
    assert abs(result.remainder) < 1e-4 * max(1.0, np.abs(result.attribution).max())
    np.testing.assert_allclose(
        result.attribution.sum(axis=1) + result.bias, result.attention, atol=1e-5, rtol=1e-4
    )
    assert result.direct_kind == "direct"
    logits = torch.tensor(api.logits(m, TEXT)[4])
    if m.row.logit_cap:
        logits = 8 * torch.atanh(logits / 8) if result.cap else logits
    other = logits[: min(len(m.tokenizer), m.d_vocab)].mean() if against == "" else logits[9]
    assert result.score == pytest.approx(float(logits[5] - other), abs=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_direct_effect_is_what_a_frozen_norm_makes_of_the_heads_write(
    family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    result = api.run("head_effect", m, text=TEXT, to="zero", answer=5, against=9)
    seen = api.trace(m, TEXT, ["L2.resid_post", "L1.head"])
    stream, z = seen["L2.resid_post"][-1], seen["L1.head"][-1]
    output = OUTPUTS[family](m.module, 1).weight.detach().double().numpy()
    output = output if family == "gpt2" else output.T
    size = m.d_head
    unembedding = m.head.weight.detach().double().numpy()  # type: ignore[union-attr]
    for head in range(m.n_heads):
        write = z[head] @ output[head * size : head * size + size]
        if family == "gpt2":
            norm = m.module.transformer.ln_f  # type: ignore[union-attr]
            sigma, moved = np.sqrt(stream.var() + norm.eps), write - write.mean()
        else:
            norm = m.module.model.norm  # type: ignore[union-attr]
            sigma, moved = np.sqrt((stream**2).mean() + norm.variance_epsilon), write
        said = (moved / sigma * norm.weight.detach().numpy()) @ (unembedding[5] - unembedding[9])
        assert result.attribution[1, head] == pytest.approx(said, rel=1e-3, abs=1e-4)
        assert result.direct[1, head] == pytest.approx(said, rel=1e-3, abs=1e-4)


def test_without_later_layers_and_norms_direct_and_total_are_one(
    tiny: Callable[[str], Path],
) -> None:
    m = fresh(tiny("gpt2"))
    last = m.n_layers - 1
    with torch.no_grad():
        m.stacks[""].blocks[last].neurons.weight.zero_()  # type: ignore[union-attr]
    result = api.run("head_effect", m, text=TEXT, to="zero", answer=5, against=9)
    with torch.no_grad():
        # A large constant where no head writes: the norm's size no longer hears them.
        m.stacks[""].blocks[last].heads.weight[:, 0] = 0  # type: ignore[index, operator]
        m.stacks[""].blocks[last].neurons.bias[0] = 1_000.0  # type: ignore[union-attr, index]
    held = api.run("head_effect", m, text=TEXT, to="zero", answer=5, against=9)
    np.testing.assert_allclose(held.total[last], held.direct[last], rtol=0.03, atol=1e-3)
    assert np.abs(result.total[last] - result.direct[last]).max() > 0.01


@pytest.mark.parametrize("form", PLANTED)
def test_the_planted_heads_cause_the_answer_and_no_other_does(
    form: str, planted: dict[str, Loaded]
) -> None:
    m = planted[form]
    result = api.run("head_effect", m, text=REPEAT, position=30)
    assert result.answer == REPEAT.split()[10]  # what followed this word, one copy ago
    rest = np.ones_like(result.effect, dtype=bool)
    for layer, head in PLANTED[form]:
        assert result.effect[layer, head] > 3
        rest[layer, head] = False
    assert np.abs(result.effect[rest]).max() < 0.012
    assert np.abs(result.control).max() < 0.012
    induction, previous = PLANTED[form][1], PLANTED[form][0]
    assert result.direct[induction] > 5
    assert abs(result.direct[previous]) < 0.1  # it speaks to the other head alone


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 0.0), (0.3, 0.297), (0.7, 0.692)])
def test_an_mlp_that_erases_a_share_of_the_message_repairs_that_share(
    share: float, wanted: float, tmp_path: Path
) -> None:
    m = fresh(planted_heads.gpt2(tmp_path / "erased"))
    says, words = planted_heads.SAYS, torch.arange(planted_heads.WORDS)
    mlp = m.module.transformer.h[1].mlp  # type: ignore[union-attr]
    with torch.no_grad():
        mlp.c_fc.weight[says, words] = 4.0
        mlp.c_fc.bias.fill_(-0.5)
    answer = m.tokenizer(REPEAT)["input_ids"][11]
    seen = api.trace(m, REPEAT, ["L1.attn_out", "L1.neuron"])
    write, fires = seen["L1.attn_out"][30, says[answer]], seen["L1.neuron"][30, answer]
    with torch.no_grad():
        mlp.c_proj.weight[words, says] = -share * float(write / fires)
    result = api.run("head_effect", m, text=REPEAT, position=30, to="zero")
    assert result.repair[planted_heads.GPT2_INDUCTION] == pytest.approx(wanted, abs=0.02)
    assert np.isnan(result.repair[planted_heads.GPT2_PREVIOUS])  # nothing direct to repair


def test_the_score_of_encoders_is_read_by_its_slope(tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny("bert"), device="cpu")
    text = "the [MASK] sat on the mat"
    result = api.run("head_effect", m, text=text, position=2, to="zero")
    assert result.direct_kind == "gradient"
    assert "norms" in result.why_not
    assert np.isnan(result.attribution).all()
    assert np.isnan(result.repair).all()
    # Slope x a small change is the change: the heads of the last layer, a little scaled down.
    score = lambda logits: logits[result.answer_id] - logits[: len(m.tokenizer)].mean()  # noqa: E731
    clean = score(api.logits(m, text)[2].astype(float))
    for head in range(m.n_heads):
        small = api.logits(m, text, [api.Scale(f"L2.head[{head}]", 0.98)])[2].astype(float)
        slope = (clean - score(small)) / 0.02
        assert result.direct[2, head] == pytest.approx(slope, rel=0.1, abs=0.02)


def test_heads_can_be_ablated_at_some_tokens_only(stories: Loaded) -> None:
    result = api.run("head_effect", stories, text=STORY, where="2,5-7", to="zero")
    clean = api.logits(stories, STORY)[-1]
    change = api.Ablate("L2.head[3]", "zero", where="2,5-7")
    after = api.logits(stories, STORY, [change])[-1]
    before, behind = (torch.tensor(x).log_softmax(-1)[result.answer_id] for x in (clean, after))
    assert result.effect[2, 3] == pytest.approx(float(before - behind), abs=1e-4)
    # Nothing was changed at the last token, so nothing is lost there directly.
    np.testing.assert_allclose(result.direct[4], 0, atol=1e-5)


def test_clamps_hold_while_heads_are_measured(stories: Loaded) -> None:
    clamp = api.Clamp("L2.neuron[5]", 3.0)
    result = api.run("head_effect", stories, text=STORY, interventions=[clamp])
    assert abs(result.remainder) < 1e-4
    other = stories.tokenizer(" a", add_special_tokens=False)["input_ids"][-1]
    logits = api.logits(stories, STORY, [clamp])[-1]
    assert result.answer_id == logits.argmax()
    against = api.run("head_effect", stories, text=STORY, interventions=[clamp], against=other)
    assert against.score == pytest.approx(float(logits.max() - logits[other]), abs=1e-4)


def test_a_token_that_is_none_is_refused_in_a_sentence(stories: Loaded) -> None:
    for answer, said in (("xylophone", "single token"), (99_999, "tokens 0 to"), (True, "named")):
        with pytest.raises(api.Error, match=said):
            api.run("head_effect", stories, text=STORY, answer=answer)
    he = api.run("head_effect", stories, text=STORY, answer=" he")
    assert he.answer == " he"


@pytest.mark.parametrize("family", DECODERS)
def test_sources_add_up_to_what_the_head_says(family: str, tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny(family), device="cpu")
    asked: dict[str, Any] = {"text": TEXT, "position": 3, "answer": 5, "against": 9}
    whole = api.run("head_effect", m, **asked).attribution
    layer = min(1, m.n_layers - 1)
    result = api.run("head_sources", m, layer=layer, head=2, **asked)
    assert result.attribution.sum() == pytest.approx(float(whole[layer, 2]), abs=1e-4)
    assert result.weight.sum() == pytest.approx(1, abs=1e-4)
    assert not result.weight[4:].any()
    assert (result.random_low <= result.random_high).all()


@pytest.mark.parametrize("form", PLANTED)
def test_the_induction_head_fetches_the_answer_from_behind_the_earlier_copy(
    form: str, planted: dict[str, Loaded]
) -> None:
    layer, head = PLANTED[form][1]
    result = api.run("head_sources", planted[form], text=REPEAT, layer=layer, head=head)
    assert result.attribution.argmax() == 21  # the first word's second place, after the last one
    assert result.tokens[21] == result.answer
    assert result.attribution[21] > 0.95 * result.whole
    assert result.attribution[21] > result.random_high[21]


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_sources_of_encoders_are_split_by_slope(family: str, tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny(family), device="cpu")
    result = api.run("head_sources", m, text=TEXT, layer=1, head=1)
    assert result.kind == "gradient"
    assert result.remainder == pytest.approx(0, abs=1e-4)
    assert np.isnan(result.random_low).all()


def test_a_stream_put_to_zero_is_answered(gpt2: Loaded) -> None:
    last = f"L{gpt2.n_layers - 1}.resid_post"
    result = api.run("head_effect", gpt2, text="a b", interventions=[api.Ablate(last, to="zero")])
    assert result.name == "head_effect"
    assert not np.any(result.effect)
