"""From opened files to a proved model with its card."""

from core.dictionaries.shelf import Shelf
from core.models.checks import LOST, Outcome, prove
from core.models.families import row
from core.models.library import Opened
from core.models.loaded import Loaded, assemble
from core.results.card import CardResult
from core.spec.errors import Error
from core.spec.request import ModelRef

MAX_ABOUT = 40_000


def build(opened: Opened, ref: ModelRef) -> Loaded:
    """Find the model's parts, prove them, and write its card.

    Raises `Error` naming layer and identity when the family row does not fit the model.
    """
    loaded = assemble(opened, ref)
    outcomes = prove(loaded)
    _refuse(loaded, outcomes)
    loaded.card = _card(loaded, opened, outcomes)
    loaded.dictionaries = Shelf(loaded)
    return loaded


def _refuse(loaded: Loaded, outcomes: list[Outcome]) -> None:
    failed = [o for o in outcomes if o.state == "failed" and o.letter not in LOST]
    if not failed:
        return
    _, known = row(loaded.family)
    table = "its row" if known else "the Llama row, tried because the family is not in the table,"
    raise Error(
        f"{loaded.name} ({loaded.family}) is refused: {table} does not fit. "
        f"Check ({failed[0].letter}): {failed[0].detail}"
    )


def _card(loaded: Loaded, opened: Opened, outcomes: list[Outcome]) -> CardResult:
    return CardResult(
        request={},
        model=loaded.name,
        family=loaded.family,
        kind=loaded.kind,
        sizes=_sizes(loaded),
        n_parameters=sum(p.numel() for p in loaded.module.parameters()),
        dtype=str(opened.dtype).removeprefix("torch."),
        device=str(opened.device),
        memory_bytes=opened.memory_bytes,
        needed_bytes=opened.needed_bytes,
        free_bytes=opened.free_bytes,
        load_seconds=round(opened.seconds, 3),
        fingerprint=loaded.fingerprint,
        checks=tuple(outcome.line() for outcome in outcomes),
        unavailable=_unavailable(loaded, outcomes),
        notes=_notes(loaded, opened),
        about=_about(opened),
    )


def _sizes(loaded: Loaded) -> dict[str, int]:
    names = ("n_layers", "n_heads", "n_kv_heads", "d_model", "d_head", "d_mlp", "d_vocab", "n_ctx")
    sizes = {name: int(getattr(loaded, name)) for name in names}
    if loaded.prompt_stack:
        sizes["n_encoder_layers"] = len(loaded.stacks[loaded.prompt_stack].blocks)
    return sizes


def _unavailable(loaded: Loaded, outcomes: list[Outcome]) -> tuple[tuple[str, str], ...]:
    missing = [
        (LOST[o.letter], f"check ({o.letter}) failed: {o.detail}")
        for o in outcomes
        if o.state == "failed" and o.letter in LOST
    ]
    if loaded.kind == "encoder":
        missing.append(("generated text", "an encoder fills masks and writes no text"))
    if loaded.kind == "encoder-decoder":
        missing.append(
            (LOST["c"], "its decoder sees no token of the prompt, only the encoder does")
        )
    if loaded.head is None:
        missing.append(("predictions and lens", "the checkpoint has no head for predictions"))
    if why := _wordless(loaded):
        missing.append(("output tokens of neurons", why))
    if loaded.d_mlp == 0:
        missing.append(("single neurons", "the experts are one fused map in this family"))
    elif loaded.stacks[""].blocks[0].gate is None:
        missing.append(("gates of neurons", "a neuron of this family is act(up)"))
    if loaded.stacks[""].parallel:
        missing.append(("resid_mid", "attention and MLP run in parallel in this family"))
    if not loaded.pattern_source and not any(
        o.letter == "d" for o in outcomes if o.state == "failed"
    ):
        missing.append(("attention patterns", "this family does not hand them out"))
    return tuple(missing)


def _wordless(loaded: Loaded) -> str:
    """Why what the prompt's stack writes is not read by one plain matrix; "" when it is."""
    if loaded.prompt_stack:
        return "its encoder does not speak through the unembedding"
    if loaded.module.get_output_embeddings() is None:  # type: ignore[operator]
        return "the checkpoint has no unembedding"
    return "its head is more than one matrix" if loaded.row.head else ""


def _notes(loaded: Loaded, opened: Opened) -> tuple[str, ...]:
    notes = list(opened.notes)
    if loaded.pattern_source == "outputs":
        notes.append(
            "runs with the library's eager attention, which alone hands out patterns in this "
            "family; reading them needs a full forward"
        )
    if not row(loaded.family)[1]:
        notes.append(
            "the family is not in the table; the Llama row was tried and every check passed"
        )
    return tuple(notes)


def _about(opened: Opened) -> str:
    for name in ("CARD.md", "README.md"):
        path = opened.folder / name
        if path.is_file() and not path.is_symlink():
            return path.read_text(encoding="utf-8", errors="replace")[:MAX_ABOUT]
    return ""
