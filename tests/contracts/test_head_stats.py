"""What heads look at in every family: sums heard in one forward equal those over full patterns."""

from collections.abc import Callable

import pytest
import torch

from core.engine import attention
from core.engine.forward import run
from core.engine.head_stats import collect
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.site import Site
from kernels.head_stats import Stats, targets
from kernels.head_stats.targets import back, equal
from tests.families.recipes import FAMILIES as RECIPES

NAMES = [name for name in RECIPES if name != "distilbert"]
Model = Callable[[str], Loaded]
Heard = dict[int, tuple[Stats, Stats]]


def texts() -> list[list[int]]:
    """Three texts of ids, one shorter, the first with a repeat."""
    generator = torch.Generator().manual_seed(0)
    made = [torch.randint(10, 100, (n,), generator=generator).tolist() for n in (20, 13, 20)]
    made[0][10:] = made[0][:10]
    return made


def heard(loaded: Loaded, ids: list[list[int]], **options: str) -> Heard:
    batch = rows(loaded, ids)
    kinds = {"before": back(batch.ids, 1), "induction": equal(batch.ids, behind=1)}
    aims = targets(kinds, batch.lengths, causal=loaded.kind == "decoder")
    mask = batch.mask()
    groups = torch.ones(1, *batch.ids.shape) if mask is None else mask.float()[None]
    found: Heard = {}
    collect(
        loaded,
        batch,
        aims,
        groups,
        lambda layer, stats, uniform: found.update({layer: (stats, uniform)}),
        reach=6,
        **options,  # type: ignore[arg-type]
    )
    return found


def patterns(loaded: Loaded, ids: list[list[int]], layer: int) -> torch.Tensor:
    """[row, head, query, key] in float64, 0 where padded; each row in a run of its own."""
    longest = max(map(len, ids))
    whole = torch.zeros(len(ids), loaded.n_heads, longest, longest, dtype=torch.float64)
    site = Site(layer, "pattern", stack=loaded.prompt_stack)
    for row, text in enumerate(ids):
        one = run(loaded, rows(loaded, [text]), read=[site], logits="none").values[site]
        whole[row, :, : len(text), : len(text)] = one[0].double()
    return whole


@pytest.mark.parametrize("name", NAMES)
def test_sums_heard_in_one_forward_equal_those_over_full_patterns(name: str, model: Model) -> None:
    loaded, ids = model(name), texts()
    found = heard(loaded, ids)
    assert sorted(found) == list(range(len(loaded.stacks[loaded.prompt_stack].blocks)))
    causal = loaded.kind == "decoder"
    for layer, (stats, uniform) in found.items():
        pattern = patterns(loaded, ids, layer)
        real = pattern.sum(-1)[:, 0] > 0.5  # [row, query]
        before = pattern.diagonal(-1, 2, 3).sum(-1)
        torch.testing.assert_close(stats.target[:, 0].double(), before, atol=2e-5, rtol=1e-5)
        induced = torch.zeros(len(ids), loaded.n_heads, dtype=torch.float64)
        for row, text in enumerate(ids):
            for q, token in enumerate(text):
                keys = [k for k in range(1, q + 1) if text[k - 1] == token]
                induced[row] += pattern[row, :, q, keys].sum(-1)
        torch.testing.assert_close(stats.target[:, 1].double(), induced, atol=2e-5, rtol=1e-5)
        received = stats.received[:, 0].double()
        torch.testing.assert_close(received, pattern.sum(2), atol=2e-5, rtol=1e-5)
        lag = stats.lag[:, 0, :, 2 if causal else 8].double()
        two_back = pattern.diagonal(-2, 2, 3).sum(-1)
        torch.testing.assert_close(lag, two_back, atol=2e-5, rtol=1e-5)
        entropy = torch.special.entr(pattern).sum(-1).transpose(1, 2)[real]
        torch.testing.assert_close(
            stats.entropy.transpose(1, 2)[real].double(), entropy, atol=5e-5, rtol=1e-4
        )
        seen = (pattern > 0).any(1).double()
        even = seen / seen.sum(-1, keepdim=True).clamp_min(1)
        received = uniform.received[:, 0, 0].double()
        torch.testing.assert_close(received, even.sum(1), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "mistral", "bert", "t5", "bloom"])
def test_hearing_the_heads_leaves_the_logits_as_they_are(name: str, model: Model) -> None:
    loaded, ids = model(name), texts()
    batch = rows(loaded, ids)
    aims = targets({"before": back(batch.ids, 1)}, batch.lengths, causal=loaded.kind == "decoder")
    mask = batch.mask()
    assert mask is not None
    plain = run(loaded, batch).logits
    with_ears = collect(loaded, batch, aims, mask.float()[None], lambda *_: None, logits="all")
    assert plain is not None
    assert with_ears is not None
    assert torch.equal(plain, with_ears)
    assert attention._listener.get() is None
    hooks = sum(len(each._forward_hooks) for each in loaded.module.modules())
    assert hooks == 0


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "bloom", "t5"])
def test_the_first_token_can_be_taken_out(name: str, model: Model) -> None:
    loaded, ids = model(name), texts()[:1]
    found = heard(loaded, ids, reading="without_first")
    pattern = patterns(loaded, ids, 0)
    pattern[:, :, 1:, 0] = 0
    if loaded.kind != "decoder":
        pattern[:, :, 0, 0] = 0
    pattern = pattern / pattern.sum(-1, keepdim=True)
    torch.testing.assert_close(
        found[0][0].received[:, 0].double(), pattern.sum(2), atol=2e-5, rtol=1e-5
    )


def test_a_model_that_hands_out_no_attention_is_refused(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = model("llama")
    monkeypatch.setattr(loaded, "pattern_source", "")
    with pytest.raises(Error, match="does not hand out its attention"):
        heard(loaded, texts())
