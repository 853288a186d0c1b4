"""A loaded model: the module, its tokenizer, and where its parts are.

Never leaves the worker; pages see the model's card only.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.models.families import Family, row
from core.models.library import Opened
from core.results.card import CardResult
from core.spec.errors import Error
from core.spec.request import ModelRef
from core.spec.site import BESIDE_STREAM, HEADS, MLP_PARTS, NEURONS, PATTERNS, STREAM, Site


@dataclass(frozen=True)
class Block:
    """The modules of one block that hooks attach to; None where the family has no such thing."""

    whole: nn.Module
    attn: nn.Module
    mlp: nn.Module
    heads: nn.Module
    neurons: nn.Module | None
    up: nn.Module | None
    gate: nn.Module | None
    act: nn.Module | None
    mlp_in: nn.Module | None
    cross: nn.Module | None
    cross_heads: nn.Module | None
    norm_attn: nn.Module | None
    norm_mlp: nn.Module | None
    post_attn: nn.Module | None
    post_mlp: nn.Module | None
    norm_after: tuple[nn.Module, nn.Module] | None


@dataclass(frozen=True)
class Stack:
    """The blocks of one stack ("" the main one, "enc" an encoder beside a decoder)."""

    name: str
    family: Family
    blocks: tuple[Block, ...]
    norm: nn.Module | None
    parallel: bool
    stream_scale: float


@dataclass
class Loaded:
    """One model ready for work. `lock` is held by whoever has hooks on it."""

    module: nn.Module
    tokenizer: Any
    config: Any
    ref: ModelRef
    name: str
    family: str
    row: Family
    kind: str
    stacks: dict[str, Stack]
    head: nn.Module | None  # stream (behind the final norm) to logits, None without one
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    n_ctx: int
    device: torch.device
    fingerprint: str
    folder: Path
    pattern_source: str  # "interface", "outputs" or "" when patterns cannot be read
    mlp_parts: bool = True  # False: up and gate do not give the neurons, so they are not offered
    mlp_input: bool = True  # False: what its MLP reads was not found, so mlp_in is not offered
    card: CardResult | None = None
    dictionaries: Mapping[str, Any] = field(default_factory=dict)  # sparse dictionaries by name
    memo: dict[Any, Any] = field(default_factory=dict)  # what is computed once per model
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def n_layers(self) -> int:
        return len(self.stacks[""].blocks)

    @property
    def prompt_stack(self) -> str:
        """The stack that reads the prompt: "enc" in an encoder-decoder, else the only one."""
        return "enc" if "enc" in self.stacks else ""

    def __repr__(self) -> str:
        return f"<{self.name}: {self.family}, {self.n_layers} layers x {self.d_model}>"

    def block(self, site: Site) -> Block:
        return self.stacks[site.stack].blocks[site.layer]

    def check(self, site: Site) -> None:
        """Raise `Error` with a sentence when this model has no such site."""
        if site.stack not in self.stacks:
            raise Error(f"{site}: {self.name} has no encoder stack beside a decoder")
        layers = len(self.stacks[site.stack].blocks)
        if site.layer >= layers:
            raise Error(f"{site}: {self.name} has layers 0 to {layers - 1}")
        self._check_component(site)
        if site.dictionary:
            self._check_feature(site)
            return
        width = self.width(site)
        if site.unit is not None and site.unit >= width:
            raise Error(f"{site}: {self.name} has {site.component} 0 to {width - 1} in each layer")

    def _check_component(self, site: Site) -> None:
        block, stack = self.block(site), self.stacks[site.stack]
        if site.component in NEURONS and block.neurons is None:
            raise Error(f"{site}: the experts of {self.family} keep no single neurons to address")
        if site.component == "gate" and block.gate is None:
            raise Error(f"{site}: the MLP of {self.family} has no gate; its neurons are act(up)")
        if site.component in MLP_PARTS and not self.mlp_parts:
            raise Error(
                f"{site}: what is known of {self.family} does not say where its up and gate are; "
                "use neuron"
            )
        if site.component == "mlp_in" and (block.mlp_in is None or not self.mlp_input):
            raise Error(
                f"{site}: what is known of {self.family} does not say where its MLP reads; "
                "use resid_mid or resid_pre"
            )
        if site.component == "resid_mid" and stack.parallel:
            raise Error(
                f"{site}: attention and MLP of {self.family} run in parallel, so there is no "
                "resid_mid; use resid_pre or resid_post"
            )
        if site.component.startswith("cross") and block.cross is None:
            raise Error(f"{site}: {self.name} has no cross-attention there")
        if site.component in PATTERNS and not self.pattern_source:
            raise Error(f"{site}: {self.family} does not hand out its attention patterns")

    def _check_feature(self, site: Site) -> None:
        dictionary = self.dictionaries.get(site.dictionary)
        if dictionary is None:
            raise Error(f"{site}: no dictionary {site.dictionary!r} is loaded for {self.name}")
        if site.whole() != dictionary.site:
            place = replace(site, layer=dictionary.site.layer, component=dictionary.site.component)
            raise Error(f"{site}: {site.dictionary} reads {dictionary.site}; write {place}")
        if site.unit is None or site.unit >= dictionary.n_features:
            raise Error(f"{site}: {site.dictionary} has features 0 to {dictionary.n_features - 1}")

    def width(self, site: Site) -> int:
        """How many units a component has: heads, neurons or stream coordinates."""
        if site.component in HEADS or site.component in PATTERNS:
            return self.n_heads
        return self.d_model if site.component in (*STREAM, *BESIDE_STREAM) else self.d_mlp

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Exclusive use. Hooks belong to the module, so one piece of work at a time."""
        with self.lock, torch.no_grad():
            yield


def find(root: nn.Module, path: str) -> nn.Module | None:
    """The module at a dotted path; "a|b" takes the first there is, "" gives None."""
    for choice in path.split("|"):
        if not choice:
            return None
        # A model without its head lacks the outermost name ("bert.encoder" is "encoder").
        for name in filter(None, (choice, choice.partition(".")[2])):
            try:
                return root.get_submodule(name)
            except AttributeError:
                continue
    if "." not in path:  # a part of the block itself: a family that is not known may lack it
        return None
    raise Error(f"this model has no module {path!r}; its family row does not fit it")


def _block(module: nn.Module, family: Family, config: Any) -> Block:
    after = family.norm_after
    if after and family.norm_after_unless and getattr(config, family.norm_after_unless):
        after = None
    parts = {
        name: find(module, getattr(family, name))
        for name in (
            "attn",
            "mlp",
            "heads",
            "neurons",
            "up",
            "gate",
            "mlp_in",
            "cross",
            "cross_heads",
        )
    }
    # A configuration may name a function that is no module; up and gate are then not offered.
    parts["act"] = find(module, f"{family.act}|")
    norms = {
        name: find(module, getattr(family, name))
        for name in ("norm_attn", "norm_mlp", "post_attn", "post_mlp")
    }
    pair = None if after is None else tuple(find(module, name) for name in after)
    return Block(whole=module, norm_after=pair, **parts, **norms)  # type: ignore[arg-type]


def _stack(root: nn.Module, name: str, family: Family, config: Any) -> Stack:
    blocks = find(root, family.blocks)
    parallel = family.parallel
    if isinstance(parallel, str):
        parallel = bool(getattr(config, parallel))
    return Stack(
        name=name,
        family=family,
        blocks=tuple(_block(module, family, config) for module in blocks),  # type: ignore[union-attr]
        norm=find(root, family.norm),
        parallel=parallel,
        stream_scale=float(getattr(config, family.stream_scale)) if family.stream_scale else 1.0,
    )


def rebuilt(loaded: Loaded, module: nn.Module) -> Loaded:
    """The same model around another module of its make, such as an edited copy."""
    stacks = {
        name: _stack(module, name, stack.family, loaded.config)
        for name, stack in loaded.stacks.items()
    }
    return replace(loaded, module=module, stacks=stacks, head=head_of(module, loaded.row))


def features(linear: nn.Module) -> tuple[int, int]:
    """(in, out) of a linear map, whichever way its family stores the matrix."""
    if isinstance(linear, nn.Linear):
        return linear.in_features, linear.out_features
    weight_shape: torch.Size = linear.weight.shape  # type: ignore[assignment]
    return weight_shape[0], weight_shape[1]  # GPT-2 stores [in, out]


def head_of(module: nn.Module, family: Family) -> nn.Module | None:
    """What maps the stream to logits; None for a checkpoint without it."""
    if family.head:
        return getattr(module, family.head, None)
    return module.get_output_embeddings()  # type: ignore[operator]


def assemble(opened: Opened, ref: ModelRef) -> Loaded:
    """Find the parts of an opened model. `core.models.checks` then proves them."""
    config = opened.config.get_text_config()
    model_type = opened.config.model_type
    family, _ = row(model_type)
    stacks = {"": _stack(opened.module, "", family, config)}
    if family.encoder:
        stacks["enc"] = _stack(opened.module, "enc", family.encoder, config)
    first = stacks[""].blocks[0]
    width, d_model = features(first.heads)
    head = head_of(opened.module, family)
    if isinstance(head, nn.Linear) and head.in_features != d_model:
        raise Error(
            f"the unembedding reads {head.in_features} numbers and the stream has {d_model}: "
            "a model with a projection between the two (OPT-350m) cannot be read"
        )
    n_heads = int(config.num_attention_heads)
    if width % n_heads:
        raise Error(f"{n_heads} heads do not divide the {width} inputs of the output matrix")
    return Loaded(
        module=opened.module,
        tokenizer=opened.tokenizer,
        config=config,
        ref=ref,
        name=opened.folder.name if Path(ref.name).expanduser().is_dir() else ref.name,
        family=model_type,
        row=family,
        kind=opened.kind,
        stacks=stacks,
        head=head,
        n_heads=n_heads,
        n_kv_heads=int(getattr(config, "num_key_value_heads", None) or n_heads),
        d_model=d_model,
        d_head=width // n_heads,
        d_mlp=features(first.neurons)[0] if first.neurons is not None else 0,
        d_vocab=_vocabulary(opened.module, config),
        n_ctx=_context(config),
        device=torch.device(opened.device),
        fingerprint=opened.fingerprint,
        folder=opened.folder,
        pattern_source="",
    )


def _vocabulary(module: nn.Module, config: Any) -> int:
    embeddings = module.get_output_embeddings()  # type: ignore[operator]
    return int(embeddings.weight.shape[0] if embeddings is not None else config.vocab_size)


def _context(config: Any) -> int:
    """The longest text in tokens; relative positions (T5) have no end, 0 then."""
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            # RoBERTa keeps the first pad_token_id + 1 position rows for padding.
            offset = (config.pad_token_id or 0) + 1 if config.model_type == "roberta" else 0
            return 0 if config.model_type in ("t5", "bloom") else value - offset
    return 0


def weight(module: nn.Module, name: str = "weight") -> Tensor | None:
    """A parameter in float32, also of a module that is kept on disk until used."""
    from accelerate.utils import align_module_device  # optional, slow to import

    with align_module_device(module):
        value = getattr(module, name, None)
        return None if value is None else value.detach().to(torch.float32)
