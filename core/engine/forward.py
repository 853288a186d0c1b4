"""One run of a model: read sites, change sites, and get the logits that are asked for."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from core.corpus.reference import reference_chunks
from core.engine.apply import Moment
from core.engine.hooks import Check, Enough, Plan, armed, pattern_part
from core.engine.rows import Rows, text_rows
from core.engine.rows import rows as new_rows
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.interventions import Ablate, Control, Intervention, Patch
from core.spec.site import PATTERNS, Site

Logits = Literal["all", "last", "none"] | Sequence[int]
Changes = Sequence[Sequence[Intervention]]


@dataclass(frozen=True)
class Trace:
    """What one run showed.

    logits [row, token or asked position, d_vocab], None when not asked for;
    values[site] [row, token, ...], patterns [row, head, query, key].
    """

    logits: Tensor | None
    values: dict[Site, Tensor]


def run(
    loaded: Loaded,
    rows: Rows,
    *,
    read: Sequence[Site] = (),
    change: Changes = (),
    logits: Logits = "all",
    prompt: int = 0,
    check: Check | None = None,
) -> Trace:
    """Run the rows once.

    `change` holds one list of interventions per row, or a single list for every row; changes
    at one place apply in listed order and reads see their result. `logits`: "all" tokens, the
    "last" real one of each row, given positions, or "none", and then the forward stops behind
    the last block that is read. `prompt` tokens of each row (the decoder's in an encoder-decoder)
    count as given, the rest as generated (for means, patches and `where`; 0: all are given).
    `check` is called in front of every block and may raise. Without reads and changes this is the
    plain forward, bit for bit.
    """
    changes = _checked(loaded, rows, read, change)
    moment = Moment(
        loaded, rows.ids.shape[1], prompt=prompt, sources=sources(loaded, changes, check)
    )
    plan = Plan(tuple(read), changes, rows.lengths, moment, check)
    plan.expand_to = _expansion(loaded, rows, plan)
    plan.stop_early = logits == "none" and _can_stop(loaded, read)
    with loaded.busy(), ExitStack() as stack:
        stack.enter_context(armed(loaded, plan))
        if loaded.head is not None and logits not in ("all", "none"):
            stack.callback(_keep(loaded.head, logits, rows).remove)
        try:
            output = call(loaded, _shown(rows, plan), attentions=_wants_outputs(loaded, read))
        except Enough:
            output = None
        values = _collected(loaded, plan, rows, output)
    answer = _logits(loaded, output, logits, rows)
    _refuse_not_finite(answer, values, changes, loaded)
    return Trace(answer, values)


def call(loaded: Loaded, rows: Rows, *, attentions: bool = False, **extra: Any) -> Any:
    """The model's own forward on the rows."""
    inputs: dict[str, Any] = {"input_ids": rows.ids, "use_cache": False, **extra}
    mask = rows.mask()
    if mask is not None:
        inputs["attention_mask"] = mask
    if rows.targets is not None:
        inputs["decoder_input_ids"] = rows.targets
    if loaded.kind == "encoder":
        del inputs["use_cache"]
    if attentions:
        inputs["output_attentions"] = True
    return loaded.module(**inputs)


def _checked(
    loaded: Loaded, rows: Rows, read: Sequence[Site], change: Changes
) -> tuple[tuple[Intervention, ...], ...]:
    changes = tuple(tuple(each) for each in change)
    if len(changes) not in (0, 1, rows.n):
        raise Error(f"{len(changes)} lists of changes for {rows.n} rows; give one, or one each")
    sites = [*read, *(change.site for each in changes for change in each)]
    for site in sites:
        loaded.check(site)
        _check_position(site, loaded, rows)
    return changes


def _check_position(site: Site, loaded: Loaded, rows: Rows) -> None:
    """Positions beyond the text may lie among tokens still to be generated: see `generate`."""
    if site.position is None or loaded.kind == "encoder-decoder":
        return
    longest = rows.ids.shape[1]
    if site.position >= longest:
        raise Error(f"{site}: the text has tokens 0 to {longest - 1}")


def sources(
    loaded: Loaded, changes: Sequence[Sequence[Intervention]], check: Check | None = None
) -> dict[Intervention, Tensor]:
    """What patches and resampling put in, read in clean runs before anything is armed."""
    found: dict[Intervention, Tensor] = {}
    for each in changes:
        for listed in each:
            change = listed.of if isinstance(listed, Control) else listed
            if change in found:
                continue
            if isinstance(change, Patch):
                source = text_rows(loaded, change.source)
                found[change] = _read_clean(loaded, change.site, source, check)
            elif isinstance(change, Ablate) and change.to == "resample":
                found[change] = _stranger(loaded, change, check)
    return found


def _read_clean(loaded: Loaded, site: Site, text: Rows, check: Check | None) -> Tensor:
    return run(loaded, text, read=[site], logits="none", check=check).values[site][0]


def _stranger(loaded: Loaded, change: Ablate, check: Check | None) -> Tensor:
    """The site's value at a random token of the reference text, the same for a seed."""
    place = replace(change.site, position=None)
    key = ("resample", place, change.seed)
    if key not in loaded.memo:
        text = new_rows(loaded, reference_chunks(loaded)[:1])
        values = _read_clean(loaded, place, text, check)
        generator = torch.Generator().manual_seed(change.seed)
        token = int(torch.randint(len(values), (1,), generator=generator))
        loaded.memo[key] = values[token].clone()
    stranger: Tensor = loaded.memo[key]
    return stranger


def _expansion(loaded: Loaded, rows: Rows, plan: Plan) -> int:
    """Rows of one text are one row until the first block that treats them differently."""
    worth = rows.alike and len(plan.change) > 1 and plan.first_changed() > 0
    return rows.n if worth and loaded.row.expandable and loaded.kind == "decoder" else 0


def _shown(rows: Rows, plan: Plan) -> Rows:
    return Rows(rows.ids[:1], rows.lengths[:1], rows.targets) if plan.expand_to else rows


def _wants_outputs(loaded: Loaded, read: Sequence[Site]) -> bool:
    wanted = any(site.component in PATTERNS for site in read)
    return wanted and loaded.pattern_source == "outputs"


def _can_stop(loaded: Loaded, read: Sequence[Site]) -> bool:
    return bool(read) and not _wants_outputs(loaded, read)


def _keep(head: torch.nn.Module, logits: Logits, rows: Rows) -> Any:
    """Let the unembedding see only the positions asked for."""

    def before(_: torch.nn.Module, args: tuple[Any, ...]) -> Any:
        stream = args[0]
        if logits == "last" and rows.targets is None:
            ends = torch.tensor(rows.lengths, device=stream.device) - 1
            if stream.shape[0] != len(ends):
                ends = ends[: stream.shape[0]]
            kept = stream[torch.arange(len(ends), device=stream.device), ends][:, None]
        elif logits == "last":
            kept = stream[:, -1:]
        else:
            kept = stream[:, list(logits)]
        return (kept, *args[1:])

    return head.register_forward_pre_hook(before)


def _collected(loaded: Loaded, plan: Plan, rows: Rows, output: Any) -> dict[Site, Tensor]:
    """The values in the order asked for; rows that shared a lower layer get it each."""
    values: dict[Site, Tensor] = {}
    for site in plan.read:
        if site.component in PATTERNS and loaded.pattern_source == "outputs":
            plan.seen[site] = _from_outputs(output, site, plan)
        value = plan.seen[site]
        values[site] = value.expand(rows.n, *value.shape[1:]) if len(value) < rows.n else value
    return values


def _from_outputs(output: Any, site: Site, plan: Plan) -> Tensor:
    weights = output.attentions[site.layer].float()
    if site.unit is not None:
        weights = weights[:, site.unit : site.unit + 1]
    return pattern_part(weights, site, plan)


def _logits(loaded: Loaded, output: Any, logits: Logits, rows: Rows) -> Tensor | None:
    if output is None or logits == "none":
        return None
    if loaded.head is None:
        raise Error(f"{loaded.name} has no head for predictions; read its sites instead")
    answer: Tensor = output.logits
    if answer.shape[0] < rows.n:
        answer = answer.expand(rows.n, -1, -1)
    return answer


def finite(values: Tensor) -> bool:
    """Is every value finite? The sum tells at once; only one that overflows needs the long way."""
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())


def _refuse_not_finite(
    logits: Tensor | None,
    values: dict[Site, Tensor],
    changes: Sequence[Sequence[Intervention]],
    loaded: Loaded,
) -> None:
    where = "the logits" if logits is not None and not finite(logits) else ""
    if not where:
        where = next((str(site) for site, value in values.items() if not finite(value)), "")
    if not where:
        return
    causes = list(dict.fromkeys(str(change.site) for each in changes for change in each))
    if causes:
        raise Error(
            f"{where} became infinite or not a number under the change at {', '.join(causes)}; "
            "use a smaller value"
        )
    raise Error(
        f"{loaded.name} itself gives values that are not finite at {where}; "
        "load it in float32 if this is a half-precision overflow"
    )
