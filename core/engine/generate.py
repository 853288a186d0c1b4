"""Text generation under interventions: several runs of one prompt as rows of one batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.engine.apply import Moment
from core.engine.forward import Changes, finite, sources
from core.engine.hooks import Check, Plan, armed
from core.engine.rows import Rows, repeated
from core.models.loaded import Loaded
from core.models.tokens import MAX_TOKENS, decode, end_ids
from core.spec.errors import Error

MAX_NEW_TOKENS = 2_000
Publish = Callable[[Sequence[Sequence[int]]], None]


@dataclass(frozen=True)
class Written:
    """The new ids of each row, and why each row ended: "length", "end token" or "context"."""

    ids: tuple[tuple[int, ...], ...]
    stopped: tuple[str, ...]


def generate(
    loaded: Loaded,
    prompt: Rows,
    change: Changes = ((),),
    *,
    max_new_tokens: int = 40,
    temperature: float = 0.0,
    seed: int = 0,
    check: Check | None = None,
    publish: Publish | None = None,
) -> Written:
    """Continue one prompt once per list of changes, all runs as rows of one batch.

    `prompt` is a single row. Changes act on prompt and new tokens unless `where` says otherwise;
    `@p` may lie among the new ones. Sampling (temperature > 0) uses the same noise for every row,
    so rows differ by their changes alone. Stops before an end token and at the end of the context.
    """
    _refuse(loaded, prompt, change, max_new_tokens, temperature)
    rows = repeated(prompt, len(change)) if len(change) > 1 else prompt
    given = rows.ids if rows.targets is None else rows.targets
    moment = Moment(loaded, prompt=given.shape[1], sources=sources(loaded, change, check))
    plan = Plan((), tuple(tuple(each) for each in change), rows.lengths, moment, check)
    with loaded.busy(), armed(loaded, plan):
        return _decode(loaded, rows, plan, max_new_tokens, _sampler(temperature, seed), publish)


def _refuse(
    loaded: Loaded, prompt: Rows, change: Changes, new_tokens: int, temperature: float
) -> None:
    if loaded.kind == "encoder":
        raise Error(
            f"{loaded.name} is an encoder ({loaded.family}): it fills masks and writes no text"
        )
    if prompt.n != 1:
        raise Error("generate continues one prompt at a time")
    if not 1 <= new_tokens <= MAX_NEW_TOKENS:
        raise Error(f"max_new_tokens must lie between 1 and {MAX_NEW_TOKENS}, got {new_tokens}")
    if not 0 <= temperature <= 100:
        raise Error(f"temperature must lie between 0 and 100, got {temperature}")
    last = prompt.ids.shape[1] + new_tokens - 1
    for each in change:
        for one in each:
            loaded.check(one.site)
            if one.site.position is not None and one.site.position > last:
                raise Error(f"{one.site}: prompt and new tokens end at position {last}")


def _sampler(temperature: float, seed: int) -> Callable[[Tensor], Tensor]:
    """logits [row, d_vocab] to ids [row]; the noise of a step is shared by all rows."""
    if temperature == 0:
        return lambda logits: logits.argmax(dim=-1)
    generator = torch.Generator().manual_seed(seed)

    def sample(logits: Tensor) -> Tensor:
        uniform = torch.rand(logits.shape[-1], generator=generator).clamp_min(1e-20)
        gumbel = -torch.log(-torch.log(uniform)).to(logits)
        return (logits / temperature + gumbel).argmax(dim=-1)

    return sample


def _decode(
    loaded: Loaded,
    rows: Rows,
    plan: Plan,
    new_tokens: int,
    sample: Callable[[Tensor], Tensor],
    publish: Publish | None,
) -> Written:
    ends = end_ids(loaded)
    texts: list[list[int]] = [[] for _ in range(rows.n)]
    stopped = [""] * rows.n
    room = _room(loaded, rows)
    step = _Steps(loaded, rows, plan.moment)
    for _ in range(min(new_tokens, room)):
        if plan.check:
            plan.check()
        chosen = sample(_finite(step.logits(), plan, loaded))
        for row, token in enumerate(chosen.tolist()):
            if stopped[row]:
                continue
            if token in ends:
                stopped[row] = "end token"
            else:
                texts[row].append(token)
        if publish:
            publish(texts)
        if all(stopped):
            break
        step.feed(chosen)
    ran_out = "context" if room < new_tokens else "length"
    return Written(tuple(map(tuple, texts)), tuple(why or ran_out for why in stopped))


def _room(loaded: Loaded, rows: Rows) -> int:
    limit = loaded.n_ctx or MAX_TOKENS
    return limit - (rows.ids.shape[1] if rows.targets is None else 1)


def _finite(logits: Tensor, plan: Plan, loaded: Loaded) -> Tensor:
    if finite(logits):
        return logits
    causes = dict.fromkeys(str(one.site) for each in plan.change for one in each)
    raise Error(
        f"the text of {loaded.name} became infinite or not a number"
        + (f" under the change at {', '.join(causes)}; use a smaller value" if causes else "")
    )


class _Steps:
    """The decode loop's model calls: the prompt first, then one token at a time with the cache."""

    def __init__(self, loaded: Loaded, rows: Rows, moment: Moment) -> None:
        self.loaded, self.moment = loaded, moment
        self.cache: Any = None
        self.encoded: Any = None
        self.next = rows.ids if rows.targets is None else rows.targets
        if rows.targets is not None:
            moment.tokens = rows.ids.shape[1]
            self.encoded = loaded.module.get_encoder()(input_ids=rows.ids)  # type: ignore[operator]

    def logits(self) -> Tensor:
        """Logits [row, d_vocab] behind everything fed so far."""
        self.moment.tokens = self.next.shape[1]
        inputs: dict[str, Any] = {"past_key_values": self.cache, "use_cache": True}
        if self.encoded is None:
            inputs["input_ids"] = self.next
        else:
            inputs |= {"encoder_outputs": self.encoded, "decoder_input_ids": self.next}
        handle = self.loaded.head.register_forward_pre_hook(_last_only)  # type: ignore[union-attr]
        try:
            output = self.loaded.module(**inputs)
        finally:
            handle.remove()
        self.cache = output.past_key_values
        self.moment.offset += self.next.shape[1]
        answer: Tensor = output.logits[:, -1].float()
        return answer

    def feed(self, chosen: Tensor) -> None:
        self.next = chosen[:, None]


def _last_only(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    return (args[0][:, -1:], *args[1:])


def continuation(loaded: Loaded, prompt: Sequence[int], new: Sequence[int]) -> str:
    """The text the new ids add: decode(all) without decode(prompt), special tokens skipped."""
    if loaded.kind == "encoder-decoder":
        return decode(loaded, new)
    before = decode(loaded, prompt)
    whole = decode(loaded, [*prompt, *new])
    return whole[len(before) :] if whole.startswith(before) else decode(loaded, new)
