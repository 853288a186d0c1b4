"""Which token contributes how much of an answer, exactly: the model as a linear map at one text."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.analyses.head_nulls import untrained
from core.analyses.local_map_vectors import Maps, maps_of
from core.analyses.runs import Progress, at_position, logit_position, prompt_rows
from core.engine.detached import Graph, graph, precise
from core.engine.forward import run
from core.engine.frozen import logit_scale
from core.engine.head_attribution import logit_cap
from core.engine.rows import Rows
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces, special
from core.models.words import one_token
from core.results.local_map import LocalMap
from core.spec.errors import Error

MOST_PAIRS = 32
RANGE = (0.025, 0.975)
# Of the parts' sizes: rounding of the sum, and how far the model's own answer may be.
_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-3}
_SAID = 2e-2
POSITIONS, BIASES, START, UNEMBEDDING = (
    "positions",
    "biases",
    "start of the answer",
    "bias of the unembedding",
)


def local_map(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    position: int | None = None,
    answer: str | int = "",
    against: str | int = "",
    maps: bool = False,
    k: int = 6,
    seed: int = 0,
) -> LocalMap:
    """Split the logit of an answer behind one token over the tokens of the text.

    answer   "" the most probable token; against: another one whose logit is taken off, "" none
    maps     take the maps of the asked token and of the strongest one apart as well (d_model passes
             back), with k singular vectors and the ranks at every layer, beside fresh weights

    "Large Language Models are Locally Linear Mappings" (Golden 2025). In float64 on a copy of the
    model, of a large one in its own precision. Of a model whose head is more than one matrix the
    length of the state behind the token is split instead. Raises `Error` where the parts do not
    add up.
    """
    prompt, ids = prompt_rows(loaded, text)
    place = at_position(ids, position)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MOST_PAIRS:
        raise Error(f"k is the number of pairs shown, 1 to {MOST_PAIRS}, not {str(k)[:20]}")
    progress.step(0.0, "one pass forward, one back")
    asked = _asked(loaded, prompt, logit_position(loaded, place), answer, against)
    exact = precise(loaded)
    held = _split(exact, prompt, asked, held=True)
    _refuse_sums(loaded, asked, held)
    found = Maps.empty(len(loaded.stacks[loaded.prompt_stack].blocks))
    if maps:
        found = _maps(loaded, exact, prompt, asked, held, place, k, seed, progress)
    return LocalMap(
        request={},
        tokens=pieces(loaded, ids),
        special=special(loaded, ids),
        position=place,
        answer="" if asked.why_not else pieces(loaded, [asked.answer])[0],
        against="" if asked.against is None else pieces(loaded, [asked.against])[0],
        target="length" if asked.why_not else "logit",
        why_not=asked.why_not,
        dtype=str(held.part.dtype).removeprefix("torch."),
        seed=seed,
        score=held.score,
        said=held.score if asked.said is None else asked.said,
        **_fields(held, _split(exact, prompt, asked, held=False)),
        **found.fields(),
    )


def _fields(held: "_Split", ordinary: "_Split") -> dict[str, Any]:
    """The parts and their controls, as the result names them."""
    low, high = _others(held)
    return {
        "miss": held.miss,
        "ordinary_miss": ordinary.miss,
        "constants": tuple(held.constant),
        "constant": _numpy(torch.tensor(list(held.constant.values()))),
        "part": _numpy(held.part),
        "ordinary": _numpy(ordinary.part),
        "ordinary_constant": _numpy(torch.tensor([ordinary.constant[c] for c in held.constant])),
        "shuffled_low": _numpy(low),
        "shuffled_high": _numpy(high),
        "layer_part": _numpy(held.layer_part),
        "layer_constant": _numpy(held.layer_constant),
    }


@dataclass(frozen=True)
class _Asked:
    """The answer whose logit is split; `said` is it in front of any cap, as the model says it."""

    at: int  # token of the stack that says it
    answer: int
    against: int | None
    said: float | None
    why_not: str

    def row(self, loaded: Loaded, state: Tensor) -> tuple[Tensor, float]:
        """(reading [d_model], constant): score = reading . state + constant."""
        if self.why_not:
            return state.detach() / torch.linalg.vector_norm(state.detach()), 0.0
        table = loaded.module.get_output_embeddings()  # type: ignore[operator]
        scale, bias = logit_scale(loaded), getattr(table, "bias", None)
        bias = None if bias is None else bias.detach()
        row, added = table.weight[self.answer], 0.0
        if self.against is not None:
            row = row - table.weight[self.against]
        if bias is not None:
            other = 0.0 if self.against is None else float(bias[self.against])
            added = float(bias[self.answer]) - other
        return row.detach() * scale, added * scale


def _asked(loaded: Loaded, prompt: Rows, at: int, answer: str | int, against: str | int) -> _Asked:
    plain = loaded.module.get_output_embeddings() is not None  # type: ignore[operator]
    if loaded.head is None or loaded.row.head or not plain:
        why = "it has no head for predictions" if loaded.head is None else (
            "its head is more than one matrix"
        )  # fmt: skip
        if answer != "" or against != "":
            raise Error(
                f"{loaded.name} has no logit that can be split: {why}; leave answer= empty to "
                "split the length of its state"
            )
        return _Asked(at, 0, None, None, why)
    logits = run(loaded, prompt, logits=[at]).logits
    assert logits is not None
    logits = logits[0, -1].double()
    chosen = (
        int(logits[: known_ids(loaded)].argmax()) if answer == "" else one_token(loaded, answer)
    )
    other = None if against == "" else one_token(loaded, against)
    cap = logit_cap(loaded)
    plain_logits = cap * torch.atanh((logits / cap).clamp(-1 + 1e-12, 1 - 1e-12)) if cap else logits
    said = float(plain_logits[chosen] - (0 if other is None else plain_logits[other]))
    return _Asked(at, chosen, other, said, "")


@dataclass(frozen=True)
class _Split:
    """A score over what it is made of; embeddings and slopes of the tokens, [token, d]."""

    score: float
    part: Tensor
    constant: dict[str, float]
    layer_part: Tensor
    layer_constant: Tensor
    embedding: Tensor
    slope: Tensor

    @property
    def miss(self) -> float:
        return abs(self.score - float(self.part.sum()) - sum(self.constant.values()))

    @property
    def size(self) -> float:
        """Sum of the sizes of all parts: what rounding is measured against."""
        constants = sum(abs(each) for each in self.constant.values())
        return max(abs(self.score), float(self.part.abs().sum()) + constants, 1e-30)


def _split(loaded: Loaded, prompt: Rows, asked: _Asked, *, held: bool) -> _Split:
    """One pass forward and one back; gradient x what it begins with."""
    with graph(loaded, prompt, held=held) as made:
        state = made.state[0, asked.at]
        row, bias = asked.row(loaded, state)
        score = row.to(state) @ state
        names = list(made.added)
        inputs = [*made.embeddings, *made.streams, *made.added.values()]
        slopes = torch.autograd.grad(score, inputs, allow_unused=True)
        value = float(score.detach()) + bias
        products = [
            None if slope is None else (each.detach() * slope)
            for each, slope in zip(inputs, slopes, strict=True)
        ]
    n, m = len(made.embeddings), len(made.streams)
    first, starts = products[0], [each for each in products[1:n] if each is not None]
    slope = slopes[0]
    assert first is not None
    assert slope is not None
    layers = torch.stack(
        [torch.zeros_like(first[0, :, 0]) if each is None else each[0].sum(-1)
         for each in products[n : n + m]]
    )  # fmt: skip
    sums = [0.0 if each is None else float(each.sum()) for each in products[n + m :]]
    where = _depths(loaded, made)
    constant = {START: float(sum(each.sum() for each in starts))} if n > 1 else {}
    positions = [at for at, name in enumerate(names) if not name.endswith("bias")]
    constant |= {POSITIONS: sum(sums[at] for at in positions)} if positions else {}
    if len(positions) < len(names):
        constant[BIASES] = sum(each for at, each in enumerate(sums) if at not in positions)
    constant |= {UNEMBEDDING: bias} if bias else {}
    whole = sum(constant.values())
    behind = [
        whole - sum(each for each, depth in zip(sums, where, strict=True) if depth < layer)
        for layer in range(m)
    ]
    return _Split(
        value, first[0].sum(-1), constant, layers, torch.tensor(behind, dtype=torch.float64),
        made.embeddings[0][0].detach(), slope[0],
    )  # fmt: skip


def _depths(loaded: Loaded, made: Graph) -> list[int]:
    """Where each added parameter comes in: -1 in front of block 0, the block, or behind them."""
    stack = loaded.stacks[loaded.prompt_stack]
    own = {
        id(parameter): layer
        for layer, block in enumerate(stack.blocks)
        for parameter in block.whole.parameters()
    }
    last = {id(each) for each in stack.norm.parameters()} if stack.norm is not None else set()
    for name, other in loaded.stacks.items():
        if name != loaded.prompt_stack:
            last |= {id(each) for block in other.blocks for each in block.whole.parameters()}
            last |= {id(each) for each in other.norm.parameters()} if other.norm else set()
    behind = len(stack.blocks)
    return [own.get(id(each), behind if id(each) in last else -1) for each in made.added.values()]


def _refuse_sums(loaded: Loaded, asked: _Asked, held: _Split) -> None:
    """Raise `Error` unless the parts add up to the score, and the score is the model's own."""
    allowed = _ROUNDING.get(held.part.dtype, 5e-2)
    if held.miss > allowed * held.size:
        raise Error(
            f"the parts add up to {held.score - held.miss:.6g} or its mirror and the score is "
            f"{held.score:.6g}, so the linear map of {loaded.name} is not exact and is not shown"
        )
    if asked.said is not None and abs(asked.said - held.score) > _SAID * max(1, abs(asked.said)):
        raise Error(
            f"the score is {held.score:.6g} as a linear map and {asked.said:.6g} as {loaded.name} "
            "says it, so the map is not the model's and is not shown"
        )


def _others(held: _Split) -> tuple[Tensor, Tensor]:
    """Range of the parts [token] when each place is given the other tokens of the text instead."""
    parts = held.slope @ held.embedding.T  # [place, token]
    n = len(parts)
    if n < 2:
        return parts[:, 0] * torch.nan, parts[:, 0] * torch.nan
    away = ~torch.eye(n, dtype=torch.bool, device=parts.device)
    others = parts[away].reshape(n, n - 1)
    at = torch.tensor(RANGE, dtype=parts.dtype, device=parts.device)
    low, high = others.quantile(at, dim=1)
    return low, high


def _maps(
    loaded: Loaded, exact: Loaded, prompt: Rows, asked: _Asked, held: _Split, place: int, k: int,
    seed: int, progress: Progress,
) -> Maps:  # fmt: skip
    """The maps of the model, and the ranks of those of fresh weights."""
    strongest = int(held.part.abs().argmax())
    mapped = tuple(dict.fromkeys([place, strongest]))
    found = maps_of(exact, prompt, asked.at, mapped, k, progress, (0.05, 0.8))
    twin, _ = untrained(loaded, seed)
    if twin is None:
        return found
    fresh = maps_of(precise(twin), prompt, asked.at, (), 0, progress, (0.8, 1.0))
    return found.beside(fresh)


def _numpy(values: Tensor) -> Any:
    return values.detach().cpu().double().numpy()
