"""Reading and changing the states of a bare Transformers model, independent of the product's own
engine.

The measurements use this and the product uses its engine, so that one can be checked against the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast


class Reader:
    """A model with its tokenizer; state 0 is the embedding, state l the residual stream after block
    l.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path
    ) -> None:
        self.model, self.tokenizer, self.folder = model.eval(), tokenizer, Path(folder)
        base = model.base_model
        self.blocks = base.layers
        self.embedding = model.get_input_embeddings()
        self.final_norm = base.norm if hasattr(base, "norm") else base.final_layer_norm
        self.layers, self.heads = len(self.blocks), model.config.num_attention_heads
        self.width = model.config.hidden_size

    @classmethod
    def open(cls, folder: Path) -> Reader:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return cls(model, PreTrainedTokenizerFast.from_pretrained(folder), folder)

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text)["input_ids"]

    def batch(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """ids [row, position] filled up on the right with 0, and the place of every row's last
        token.
        """
        rows = [self.ids(text) for text in texts]
        longest = max(map(len, rows))
        return (
            torch.tensor([row + [0] * (longest - len(row)) for row in rows]),
            torch.tensor([len(row) - 1 for row in rows]),
        )

    def batches(self, texts: list[str], size: int = 64) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(texts), size):
            yield self.batch(texts[start : start + size])

    @torch.no_grad()
    def last_logits(self, texts: list[str]) -> Tensor:
        """What is said after each text: logits [text, vocabulary]."""
        return torch.cat(
            [
                self.model(ids).logits[torch.arange(len(last)), last].float()
                for ids, last in self.batches(texts)
            ]
        )

    @torch.no_grad()
    def states(self, ids: Tensor) -> Tensor:
        """The residual stream [layer + 1, row, position, width]."""
        seen: list[Tensor] = []
        handles = [
            self.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        ]
        handles += [
            block.register_forward_hook(lambda _, __, out: seen.append(stream(out)))
            for block in self.blocks
        ]
        try:
            self.model.base_model(ids, use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        return torch.stack(seen)

    @torch.no_grad()
    def last_states(self, texts: list[str]) -> Tensor:
        """States of every text's last token [layer + 1, text, width]."""
        return torch.cat(
            [
                self.states(ids)[:, torch.arange(len(last)), last]
                for ids, last in self.batches(texts)
            ],
            dim=1,
        )

    @contextmanager
    def changed(self, layer: int, change: Callable[[Tensor], Tensor]):
        """Inside, the state after block `layer` (0: the embedding) is replaced by change(state)."""
        if layer == 0:
            handle = self.blocks[0].register_forward_pre_hook(
                lambda _, inputs: (change(inputs[0]), *inputs[1:])
            )
        else:

            def replace(_, __, out):
                return change(out) if isinstance(out, Tensor) else (change(out[0]), *out[1:])

            handle = self.blocks[layer - 1].register_forward_hook(replace)
        try:
            yield
        finally:
            handle.remove()

    @contextmanager
    def without_heads(self, heads: list[tuple[int, int]]):
        """Inside, the listed (layer from 0, head) write nothing."""
        size, handles = self.width // self.heads, []
        for layer in {layer for layer, _ in heads}:
            out = self.attention(layer)[1]
            columns = [head for at, head in heads if at == layer]

            def silence(_, inputs, columns=columns):
                mixed = inputs[0].clone()
                for head in columns:
                    mixed[..., head * size : (head + 1) * size] = 0
                return (mixed,)

            handles.append(out.register_forward_pre_hook(silence))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def attention(self, layer: int):
        """The attention module of a block and its output matrix."""
        block = self.blocks[layer]
        module = block.self_attn if hasattr(block, "self_attn") else block.attention
        return module, module.o_proj if hasattr(module, "o_proj") else module.dense

    def neurons(self, layer: int):
        """The linear map whose input is the block's MLP neurons."""
        mlp = self.blocks[layer].mlp
        return mlp.down_proj if hasattr(mlp, "down_proj") else mlp.dense_4h_to_h

    @torch.no_grad()
    def greedy(self, text: str, count: int) -> str:
        """Greedy continuation of `count` tokens, without the prompt."""
        ids = self.ids(text)
        start = len(ids)
        for _ in range(count):
            ids.append(int(self.model(torch.tensor([ids])).logits[0, -1].argmax()))
        return self.tokenizer.decode(ids)[len(self.tokenizer.decode(ids[:start])) :]

    def first_piece(self, answer: str) -> int:
        """The first token of an answer that follows a space."""
        return self.ids(f"x {answer}")[len(self.ids("x"))]


def stream(out) -> Tensor:
    return out if isinstance(out, Tensor) else out[0]
