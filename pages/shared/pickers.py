"""Which models: slot A, slot B, and the card of each."""

from collections.abc import Iterable
from functools import partial

import streamlit as st

from core import recent
from core.figures.wording import count, number
from core.home import checkpoint_names, embedded, hosted, model_of
from core.jobs import Job
from core.results.card import CardResult
from core.spec.request import ModelRef, Request, ask
from pages.shared import state
from pages.shared.held import ask_again, held
from pages.shared.notices import code, sentence, shown_text
from pages.shared.popover import popover

SLOTS = ("A", "B", "C")
DTYPES = ("", "float32", "bfloat16", "float16")
DEVICE_HELP = (
    "The device is chosen for the whole server: a GPU where there is one, else the CPU. "
    "Start it with EIDOSCOPE_DEVICE=cpu or cuda:1 to decide otherwise."
)
GIB = 2**30


def card_request(model: ModelRef) -> Request:
    return ask("card", model)


def card_job(model: ModelRef) -> Job:
    """The job that loads the model and says what it is; never waits."""
    return held(card_request(model))


def load_again(model: ModelRef) -> None:
    """Forget that the model could not be loaded."""
    ask_again(card_request(model))


def card(model: ModelRef) -> CardResult | None:
    """What is known about the model, None while it loads or when it cannot be loaded."""
    job = card_job(model)
    return job.result if job.state == "done" else None


def size_line(found: CardResult) -> str:
    """ "6×192 · llama": layers, width, family."""
    return f"{found.sizes['n_layers']}×{found.sizes['d_model']} · {shown_text(found.family, 24)}"


def short(model: ModelRef) -> str:
    """A model's name without its folders; of a checkpoint its model's before it."""
    *before, name = model.name.rstrip("/").split("/")
    if before[-1:] == ["checkpoints"] and len(before) > 1:
        name = f"{before[-2]} {name}"
    name = name or model.name
    return shown_text(f"{name}@{model.revision}" if model.revision else name, 28)


def draw() -> None:
    """Both slots, in the sidebar."""
    for slot in range(len(SLOTS)):
        _settle(slot)
    models = state.workspace().models
    _remember(models)
    for slot, letter in enumerate(SLOTS):
        if slot > max(1, len(models)):
            break  # the third slot is offered once there is a second model
        model = models[slot] if slot < len(models) else None
        label = f"**{letter}** + compare with" if model is None else _label(letter, model)
        # A new version of the popover is a closed one.
        shut = st.session_state.get(f"_shut_{slot}", 0)
        with st.container(key=f"picker_{letter}"):
            key = f"picker_{letter}__{shut}"
            popover(label, _inside, slot, letter, model, key=key, width="stretch")
    if (shown := st.session_state.pop("_card_of", None)) in models:
        model_card(shown)


def _inside(slot: int, letter: str, model: ModelRef | None) -> None:
    if model is not None:
        _about(slot, model)
    _checkpoints(slot, model)
    form(slot, key=f"pick_{letter}")


def _checkpoints(slot: int, model: ModelRef | None) -> None:
    """A choice among the checkpoints in the folder of the slot's model, or of A for a free slot."""
    beside = model or state.workspace().models[0]
    whole = model_of(beside.name) or beside.name
    found = checkpoint_names(whole)
    if not found:
        return
    names = [*found, whole]
    state.field(
        st.selectbox,
        f"Checkpoint of {shown_text(short(ModelRef(whole)), 28)}",
        names,
        key=f"stage_{slot}",
        value=model.name if model is not None and model.name in names else None,
        format_func=lambda name: "the whole training" if name == whole else name.split("/")[-1],
        then=lambda name: choose(slot, ModelRef(name, dtype=beside.dtype)),
        placeholder="one moment of its training",
    )


def _label(letter: str, model: ModelRef) -> str:
    job = card_job(model)
    if job.state == "done":
        note = size_line(job.result)
    else:
        note = "cannot be loaded" if job.state == "failed" else "loading"
    return f"**{letter}** {code(short(model))} {note}"


def _about(slot: int, model: ModelRef) -> None:
    """The model of this slot in a few lines, its card, and a way out of the comparison."""
    job = card_job(model)
    if job.state == "done":
        st.caption(summary(job.result))
    elif job.state == "failed":
        sentence(job.error)
    else:
        st.caption(f"working: {shown_text(job.note) or 'reading the files'}")
    with st.container(horizontal=True):
        if job.state == "done":
            st.button("Model card", key=f"card_{slot}", on_click=_show_card, args=(slot, model))
        if slot:
            st.button("Stop comparing", key=f"drop_{slot}", on_click=_drop, args=(slot,))


def _show_card(slot: int, model: ModelRef) -> None:
    st.session_state["_card_of"] = model
    _shut(slot)


def _shut(slot: int) -> None:
    """Close the picker's popover, which would stay open above what it led to."""
    st.session_state[f"_shut_{slot}"] = st.session_state.get(f"_shut_{slot}", 0) + 1


def summary(found: CardResult) -> str:
    """Sizes, memory, device and checks in one line."""
    sizes = found.sizes
    passed = sum(check[2] == "passed" for check in found.checks)
    failed = sum(check[2] == "failed" for check in found.checks)
    checks = f"{count(passed, 'check')} passed" + (f", {failed} failed" if failed else "")
    return (
        f"{count(sizes['n_layers'], 'layer')}, {count(sizes['n_heads'], 'head')}, "
        f"width {sizes['d_model']:,}, {number(found.n_parameters / 1e6)} M parameters, "
        f"{memory(found.memory_bytes)}, {found.dtype} on {found.device}; {checks}"
    )


def memory(n_bytes: float) -> str:
    """Bytes as "23.1 MB" or "1.2 GB" (binary)."""
    return f"{number(n_bytes / GIB)} GB" if n_bytes >= GIB else f"{number(n_bytes / 2**20)} MB"


def shipped() -> list[ModelRef]:
    """The embedded models, the default one first."""
    return [ModelRef("embedded"), *(ModelRef(one.name) for one in embedded()[1:])]


def known() -> list[ModelRef]:
    """Models one click away: the embedded ones, then the recent ones."""
    listed = shipped()
    return [*listed, *(model for model in recent.models() if model not in listed)]


def form(slot: int, key: str) -> None:
    """Choose one of the known models, or name a folder or a hub id."""
    models = {str(model): model for model in known()}
    present = [str(model) for model in state.workspace().models]
    current = present[slot] if slot < len(present) and present[slot] in models else None
    state.field(
        st.selectbox,
        "Known models",
        list(models),
        key=f"{key}_known",
        value=current,
        then=partial(_take_known, slot, models),
        placeholder="embedded or recent",
    )
    if hosted():
        st.caption("This server offers its embedded models only.")
    else:
        _free_form(slot, key)
    _candidate(slot)


def _free_form(slot: int, key: str) -> None:
    with st.form(f"{key}_form", border=False):
        st.text_input(
            "Folder or hub id",
            key=f"{key}_name",
            placeholder="/models/my-model or EleutherAI/pythia-70m",
            help="A folder with config.json, tokenizer and safetensors weights, or a name on the "
            "Hugging Face hub. Pickle files are never opened and no code of a model is run.",
        )
        with st.expander("Revision, dtype, device"):
            st.text_input("Revision", key=f"{key}_revision", placeholder="main")
            st.selectbox("dtype", DTYPES, key=f"{key}_dtype", format_func=_dtype_words)
            st.caption(DEVICE_HELP)
        st.form_submit_button("Load", on_click=_take_named, args=(slot, key))


def _dtype_words(dtype: str) -> str:
    return dtype or "automatic: float32 on a CPU, as stored on a GPU"


def _take_known(slot: int, models: dict[str, ModelRef], name: str | None) -> None:
    if name in models:
        choose(slot, models[name])


def _take_named(slot: int, key: str) -> None:
    name, revision = (str(st.session_state[f"{key}_{n}"]).strip() for n in ("name", "revision"))
    if name:
        choose(slot, ModelRef(name, revision, str(st.session_state[f"{key}_dtype"] or "")))
    else:
        state.say("No model was named; write a folder or a hub id first.")


def choose(slot: int, model: ModelRef) -> None:
    """Load the model; it takes the slot once it has loaded, so a bad name costs nothing."""
    if card_job(model).state == "failed":
        load_again(model)
    _candidates()[slot] = model


def _candidates() -> dict[int, ModelRef]:
    found: dict[int, ModelRef] = st.session_state.setdefault("_candidates", {})
    return found


def _settle(slot: int) -> None:
    """Give the slot to a candidate that has loaded meanwhile."""
    model = _candidates().get(slot)
    if model is not None and card_job(model).state == "done":
        del _candidates()[slot]
        models = state.workspace().models
        state.change(models=(*models[:slot], model, *models[slot + 1 :]))
        _shut(slot)


def _candidate(slot: int) -> None:
    """How far the loading of the chosen model is, or the one sentence why it cannot be."""
    model = _candidates().get(slot)
    if model is None:
        return
    job = card_job(model)
    if job.state == "failed":
        sentence(f"{model}: {job.error}")
    else:
        st.progress(job.share, text=f"working: loading {code(short(model))} {code(job.note)}")


def _drop(slot: int) -> None:
    models = state.workspace().models
    state.change(models=(*models[:slot], *models[slot + 1 :]))


def _remember(models: Iterable[ModelRef]) -> None:
    """Note models that loaded, once per tab; the embedded ones are listed anyway."""
    noted = st.session_state.setdefault("_remembered", {str(model) for model in shipped()})
    for model in models:
        if str(model) not in noted and card(model):
            noted.add(str(model))
            recent.remember_model(model)


@st.dialog("Model card", width="large")
def model_card(model: ModelRef) -> None:
    """Everything the loader found out about the model."""
    found = card(model)
    if found is None:
        st.caption("The model is not loaded.")
        return
    st.markdown(f"{code(found.model, 120)} {size_line(found)}")
    st.caption(summary(found))
    st.caption(
        f"Memory needed, told before loading: {memory(found.needed_bytes)}; "
        f"free then: {memory(found.free_bytes)}."
    )
    st.dataframe([dict(found.sizes)], hide_index=True, height="content")
    st.markdown("**Checks made when it was loaded**")
    checks(found)
    if found.unavailable:
        st.markdown("**Not available for this model**")
        for view, why in found.unavailable:
            st.text(f"{shown_text(view)}: {shown_text(why)}")
    for note in found.notes:
        sentence(note, "info")
    if found.about.strip():
        st.markdown("**What its makers say**")
        st.code(found.about[:20_000], language=None, wrap_lines=True, height=320)
    st.caption(f"Weights: SHA-256 {found.fingerprint}. Loaded in {number(found.load_seconds)} s.")


def checks(found: CardResult) -> None:
    """The identities a model was held to: letter, what, outcome, largest error or reason."""
    columns = ("check", "identity", "outcome", "largest relative error, or why")
    rows = [dict(zip(columns, map(shown_text, check), strict=True)) for check in found.checks]
    st.dataframe(rows, hide_index=True, height="content")
