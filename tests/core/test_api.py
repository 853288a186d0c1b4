"""The notebook's door: names, shapes, texts, and sentences for what cannot be done."""

import numpy as np
import pytest

from core import api
from core.models.loaded import Loaded
from core.spec import links
from tests.core.conftest import STORIES

TEXT = "Once upon a time, there was"


def test_tokens_are_shown_as_read_special_ones_included(stories: Loaded) -> None:
    assert api.tokens(stories, "Once upon a time") == ["<s>", " Once", " upon", " a", " time"]


def test_the_third_party_model_writes_what_its_author_documents(stories: Loaded) -> None:
    text = api.generate(stories, TEXT, max_new_tokens=30)
    assert text.startswith(" a little girl named Lily. She loved to play outside in the park.")


def test_logits_are_those_of_plain_transformers(stories: Loaded) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    plain = AutoModelForCausalLM.from_pretrained(STORIES, dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(STORIES)(TEXT, return_tensors="pt").input_ids
    with torch.no_grad():
        wanted = plain(ids).logits[0].numpy()
    found = api.logits(stories, TEXT)
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    assert (found == wanted).all()


def test_trace_gives_each_site_its_shape_under_the_text_asked_for(stories: Loaded) -> None:
    n = len(api.tokens(stories, TEXT))
    wanted = {
        "L2.resid_post": (n, 64),
        "L1.head": (n, 8, 8),
        "L1.head[3]": (n, 8),
        "L0.neuron": (n, 172),
        "L0.neuron[5]": (n,),
        "L1.pattern": (8, n, n),
        "L1.pattern[2]": (n, n),
        "L1.neuron[5]@2": (1,),
        "L1.head[3]@2": (1, 8),
        "L1.resid_mid": (n, 64),
    }
    found = api.trace(stories, TEXT, list(wanted))
    assert {site: values.shape for site, values in found.items()} == wanted
    assert (found["L0.neuron[5]"] == found["L0.neuron"][:, 5]).all()


def test_the_cached_generation_is_the_uncached_one_under_a_clamp(stories: Loaded) -> None:
    clamp = [api.Clamp("L3.neuron[17]", 4.0)]
    text, wanted = TEXT, ""
    for _ in range(8):
        best = int(api.logits(stories, text + wanted, clamp)[-1].argmax())
        wanted += api.tokens(stories, "x")[0][:0] + piece(stories, best)
    assert api.generate(stories, text, clamp, max_new_tokens=8) == wanted


def piece(m: Loaded, token: int) -> str:
    from core.models.tokens import pieces

    return pieces(m, [token])[0]


def test_sampling_is_seeded(stories: Loaded) -> None:
    def sample(seed: int) -> str:
        return api.generate(stories, TEXT, seed=seed, temperature=1.0, max_new_tokens=12)

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(6)}) > 3


def test_a_clamp_at_a_position_may_lie_among_the_new_tokens(stories: Loaded) -> None:
    n = len(api.tokens(stories, TEXT))
    clean = api.generate(stories, TEXT, max_new_tokens=12)
    late = [api.Clamp(f"L4.resid_post@{n + 4}", 3.0)]
    changed = api.generate(stories, TEXT, late, max_new_tokens=12)
    first = next(i for i, (a, b) in enumerate(zip(clean, changed, strict=False)) if a != b)
    kept = api.tokens(stories, TEXT + clean[:first])
    assert changed != clean
    assert len(kept) >= n + 4


def test_generation_ends_at_the_end_of_the_context(llama: Loaded) -> None:
    n = len(api.tokens(llama, "cat"))
    from core.engine.generate import generate
    from core.engine.rows import text_rows

    written = generate(llama, text_rows(llama, "cat"), max_new_tokens=500)
    assert len(written.ids[0]) <= llama.n_ctx - n
    assert written.stopped[0] in ("context", "end token")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a" * 100_000 + " b" * 50_000, "at most"),
        ("half \ud83d pair", "half of a character pair"),
        (5, "a prompt is a text"),
    ],
)
def test_a_text_that_cannot_be_a_prompt_gets_a_sentence(text, says, stories: Loaded) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(api.Error, match=says):
        api.logits(stories, text)


def test_empty_text_is_an_error_unless_the_tokenizer_adds_a_token(
    stories: Loaded, gpt2: Loaded
) -> None:
    assert len(api.tokens(stories, "")) == 1
    with pytest.raises(api.Error, match="empty"):
        api.tokens(gpt2, "")


def test_an_encoder_predicts_and_refuses_to_write(tiny) -> None:  # type: ignore[no-untyped-def]
    bert = api.load(tiny("bert"))
    assert api.logits(bert, "the cat sat").shape == (
        len(api.tokens(bert, "the cat sat")),
        bert.d_vocab,
    )
    with pytest.raises(api.Error, match="writes no text"):
        api.generate(bert, "the cat")


def test_an_encoder_decoder_shows_both_stacks(tiny) -> None:  # type: ignore[no-untyped-def]
    t5 = api.load(tiny("t5"))
    n = len(api.tokens(t5, "the cat sat"))
    seen = api.trace(t5, "the cat sat", ["enc.L1.resid_post", "L1.resid_post", "L0.cross_pattern"])
    assert seen["enc.L1.resid_post"].shape == (n, t5.d_model)
    assert seen["L1.resid_post"].shape == (1, t5.d_model)
    assert seen["L0.cross_pattern"].shape == (t5.n_heads, 1, n)
    assert isinstance(api.generate(t5, "the cat sat", max_new_tokens=4), str)


def test_an_unknown_analysis_and_an_unknown_option_are_named(stories: Loaded) -> None:
    with pytest.raises(api.Error, match="no analysis 'magic'"):
        api.run("magic", stories)
    with pytest.raises(api.Error, match="lens has no option 'colour'"):
        api.run("lens", stories, text=TEXT, colour="red")
    with pytest.raises(api.Error, match="lens needs text="):
        api.run("lens", stories)


def test_an_answer_saves_opens_and_becomes_a_table(stories: Loaded, tmp_path) -> None:  # type: ignore[no-untyped-def]
    result = api.run("lens", stories, text=TEXT)
    opened = api.open_result(result.save(tmp_path / "lens"))
    assert type(opened) is type(result)
    assert opened.labels() == result.labels()
    for name, array in result.arrays().items():
        assert (opened.arrays()[name] == array).all()
    assert len(result.to_frame()) > 0
    assert api.figure(result).data


def test_a_link_holds_text_model_and_clamps(stories: Loaded) -> None:
    changes = [api.Clamp("L2.neuron[17]", 8.0), api.Ablate("L1.head[3]", to="mean")]
    address = api.link("steer", model=stories, text="<b>&?=#", interventions=changes)
    from urllib.parse import parse_qsl, urlsplit

    parts = urlsplit(address)
    work = links.from_query(dict(parse_qsl(parts.query)))
    assert parts.path == "/steer"
    assert work.prompt == "<b>&?=#"
    assert work.models == (stories.ref,)
    assert work.active() == tuple(changes)


def test_tables_have_a_row_for_every_neuron_candidate_and_token(stories: Loaded) -> None:
    clamp = [api.Clamp("L4.neuron[5]", 12.8)]
    neurons = api.run("token_neurons", stories, text=TEXT, k=3)
    assert list(neurons.to_frame()["site"][:2]) == [
        f"L0.neuron[{neurons.neuron[0, 0]}]",
        f"L0.neuron[{neurons.neuron[0, 1]}]",
    ]
    candidates = api.run("next_tokens", stories, text=TEXT, interventions=clamp)
    assert len(candidates.to_frame()) == len(candidates.candidates)
    texts = api.run("steer", stories, text=TEXT, interventions=clamp, new_tokens=4)
    assert len(texts.to_frame()) == sum(map(len, texts.pieces))
