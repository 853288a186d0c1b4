"""What must hold for every row of the family table, shown on a tiny model of each."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.engine import attention
from core.engine.forward import run
from core.engine.generate import generate
from core.engine.rows import Rows, repeated, text_rows
from core.models.build import build
from core.models.checks import prove, readable
from core.models.families import FAMILIES, row
from core.models.library import open_model
from core.models.loaded import Loaded, assemble
from core.spec.errors import Cancelled, Error
from core.spec.interventions import Ablate, Clamp, Control, Intervention, Scale
from core.spec.request import ModelRef
from core.spec.site import Site
from tests.families.recipes import FAMILIES as RECIPES

TEXT = "the cat sat on the mat"
# A family the table does not name must not sneak in here; distilbert is refused by design.
NAMES = [name for name in RECIPES if name != "distilbert"]
DECODERS = [name for name in NAMES if name not in ("bert", "roberta", "t5", "t5_gated")]
Model = Callable[[str], Loaded]


def plain(folder: Path, **options: object) -> torch.nn.Module:
    """The model as the library alone would load it."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    auto = {
        "decoder": transformers.AutoModelForCausalLM,
        "encoder": transformers.AutoModelForMaskedLM,
        "encoder-decoder": transformers.AutoModelForSeq2SeqLM,
    }[row(config.model_type)[0].kind]
    return auto.from_pretrained(folder, dtype=torch.float32, **options).eval()


def logits_of(loaded: Loaded, rows: Rows, **asked: Any) -> torch.Tensor:
    found = run(loaded, rows, **asked).logits
    assert found is not None
    return found


def hooks(loaded: Loaded) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in loaded.module.modules())


def test_every_row_of_the_table_has_a_tiny_model(model: Model) -> None:
    assert {model(name).family for name in NAMES} == set(FAMILIES)


@pytest.mark.parametrize("name", NAMES)
def test_every_load_check_passes(name: str, model: Model) -> None:
    card = model(name).card
    assert card is not None
    assert [letter for letter, *_ in card.checks] == list("abcdefgh")
    passed = {letter for letter, _, state, _ in card.checks if state == "passed"}
    assert passed == set("abcdefh" if name == "mixtral" else "abcdefgh")


@pytest.mark.parametrize("name", NAMES)
def test_asking_nothing_is_the_plain_forward_bit_for_bit(
    name: str, model: Model, tiny: Callable[[str], Path]
) -> None:
    loaded = model(name)
    rows = text_rows(loaded, TEXT)
    # Families without the attention interface run in the library's eager implementation.
    eager = {"attn_implementation": "eager"} if loaded.row.patterns == "outputs" else {}
    own = plain(tiny(name), **eager)
    inputs = {"input_ids": rows.ids}
    if rows.targets is not None:
        inputs["decoder_input_ids"] = rows.targets
    with torch.no_grad():
        wanted = own(**inputs).logits
    assert torch.equal(logits_of(loaded, rows), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_patterns_are_those_of_the_eager_library(
    name: str, model: Model, tiny: Callable[[str], Path]
) -> None:
    loaded = model(name)
    rows = text_rows(loaded, TEXT)
    stack = loaded.prompt_stack
    sites = [Site(n, "pattern", stack=stack) for n in range(len(loaded.stacks[stack].blocks))]
    seen = run(loaded, rows, read=sites, logits="none").values
    eager = plain(tiny(name), attn_implementation="eager")
    inputs = {"input_ids": rows.ids}
    if rows.targets is not None:
        inputs["decoder_input_ids"] = rows.targets
    with torch.no_grad():
        output = eager(**inputs, output_attentions=True)
    wanted = output.encoder_attentions if stack else output.attentions
    for site, pattern in zip(sites, wanted, strict=True):
        torch.testing.assert_close(seen[site], pattern.float(), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_scaled_head_changes_the_logits_and_undoing_restores_their_bits(
    name: str, model: Model
) -> None:
    loaded = model(name)
    rows = text_rows(loaded, TEXT)
    before = logits_of(loaded, rows)
    silent = Scale(Site(1, "head", 1, stack=loaded.prompt_stack), 0.0)
    changed = logits_of(loaded, rows, change=[[silent]])
    after = logits_of(loaded, rows)
    assert not torch.equal(before, changed)
    assert torch.equal(before, after)


@pytest.mark.parametrize("name", DECODERS)
def test_a_clamp_holds_one_neuron_at_one_token_and_earlier_tokens_keep_their_bits(
    name: str, model: Model
) -> None:
    loaded = model(name)
    if loaded.d_mlp == 0:
        with pytest.raises(Error, match="experts"):
            run(loaded, text_rows(loaded, TEXT), read=[Site(0, "neuron")])
        return
    rows = text_rows(loaded, TEXT)
    place, everywhere = Site(1, "neuron", 3, position=4), Site(1, "neuron")
    held = run(loaded, rows, read=[place, everywhere], change=[[Clamp(place, 2.5)]])
    free = run(loaded, rows, read=[everywhere])
    before, after = free.logits, held.logits
    assert before is not None
    assert after is not None
    moved = held.values[everywhere] != free.values[everywhere]
    assert held.values[place].item() == 2.5
    assert moved.sum() == 1
    assert moved[0, 4, 3]
    assert torch.equal(after[:, :4], before[:, :4])
    assert not torch.equal(after[:, 4], before[:, 4])


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_one_batch_answer_as_they_do_alone(name: str, model: Model) -> None:
    loaded = model(name)
    one = text_rows(loaded, TEXT)
    stack = loaded.prompt_stack
    last = Site(len(loaded.stacks[stack].blocks) - 1, "head", 0, stack=stack)
    changes: list[list[Intervention]] = [
        [],
        [Scale(last, 3.0)],
        [Ablate(last, "mean")],
        [Control(Ablate(last, "mean"), 5)],
    ]
    together = logits_of(loaded, repeated(one, len(changes)), change=changes)
    for number, each in enumerate(changes):
        alone = logits_of(loaded, one, change=[each])
        torch.testing.assert_close(together[number], alone[0], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(together[1], together[0], atol=1e-3)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("bert", "roberta")])
def test_generation_with_the_cache_writes_what_repeated_forwards_choose(
    name: str, model: Model
) -> None:
    loaded = model(name)
    one = text_rows(loaded, TEXT)
    change = Scale(Site(1, "head", 1), 2.0)
    written = generate(loaded, one, [[], [change]], max_new_tokens=6)
    for ids, each in zip(written.ids, ([], [change]), strict=True):
        assert list(ids) == slow_greedy(loaded, one, each, len(ids))


def slow_greedy(loaded: Loaded, one: Rows, changes: list, n: int) -> list[int]:
    """Greedy choice by a full forward for every token: no cache at all."""
    rows, chosen = one, []
    for _ in range(n):
        logits = logits_of(loaded, rows, change=[changes], logits="last")
        chosen.append(int(logits[0, -1].argmax()))
        new = torch.tensor([[chosen[-1]]])
        if rows.targets is None:
            ids = torch.cat([rows.ids, new], dim=1)
            rows = dataclasses.replace(rows, ids=ids, lengths=(ids.shape[1],))
        else:
            rows = dataclasses.replace(rows, targets=torch.cat([rows.targets, new], dim=1))
    return chosen


@pytest.mark.parametrize("name", NAMES)
def test_reading_stops_behind_the_last_layer_needed(name: str, model: Model) -> None:
    loaded = model(name)
    stack = loaded.prompt_stack
    ran: list[int] = []
    handles = [
        block.whole.register_forward_hook(lambda *_, n=n: ran.append(n))
        for n, block in enumerate(loaded.stacks[stack].blocks)
    ]
    try:
        run(loaded, text_rows(loaded, TEXT), read=[Site(0, "attn_out", stack=stack)], logits="none")
    finally:
        for handle in handles:
            handle.remove()
    assert ran == [0]


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "bert", "t5", "opt"])
def test_no_hook_is_left_after_an_error_or_a_cancel(name: str, model: Model) -> None:
    loaded = model(name)
    before, rows = hooks(loaded), text_rows(loaded, TEXT)
    calls = iter(range(100))

    def check() -> None:
        if next(calls) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(loaded, rows, read=readable(loaded), check=check)
    end = Site(loaded.n_layers - 1, "resid_post")
    with pytest.raises(Error, match="infinite or not a number"):
        run(loaded, rows, change=[[Clamp(end, 1e38), Scale(end, 1e38)]])
    assert hooks(loaded) == before
    assert attention._listener.get() is None


def test_a_wrong_row_is_refused_by_name_of_layer_and_identity(
    tiny: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        FAMILIES, "gpt_neox", dataclasses.replace(FAMILIES["gpt_neox"], mlp="attention")
    )
    ref = ModelRef(str(tiny("gpt_neox")))
    with pytest.raises(Error, match=r"Check \(a\): layer 0: the parts do not add up"):
        build(open_model(ref, device="cpu"), ref)


@pytest.mark.parametrize(
    ("family", "broken", "letter"),
    [
        ("granite", {"stream_scale": ""}, "a"),
        ("gemma2", {"post_attn": ""}, "b"),
        ("cohere", {"logit_scale": ""}, "c"),
        ("gemma2", {"logit_cap": ""}, "c"),
        ("granite", {"logit_divisor": ""}, "c"),
        ("t5", {"tied_scale": ""}, "c"),
        ("llama", {"up": "mlp.gate_proj", "gate": "mlp.up_proj"}, "g"),
        ("gpt2", {"act": ""}, "g"),
        ("llama", {"mlp_in": "self_attn"}, "h"),
        ("gpt2", {"mlp_in": ""}, "h"),
    ],
)
def test_an_incomplete_row_fails_the_check_that_guards_it(
    family: str,
    broken: dict,
    letter: str,
    tiny: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FAMILIES, family, dataclasses.replace(FAMILIES[family], **broken))
    ref = ModelRef(str(tiny(family)))
    outcomes = prove(assemble(open_model(ref, device="cpu"), ref))
    assert letter in {outcome.letter for outcome in outcomes if outcome.state == "failed"}
