"""Continuations that are tried and chosen step by step: rows of one batch with one cache."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from core.engine.forward import finite
from core.engine.rows import Rows
from core.models.loaded import Loaded
from core.spec.errors import Error


class Candidates:
    """Rows of one prompt that grow by a token at a time and may be dropped or doubled.

    For decoders whose unembedding reads the state behind the final norm. The model is used inside
    `loaded.busy()`, call by call.
    """

    def __init__(self, loaded: Loaded, prompt: Rows, check: Callable[[], None]) -> None:
        self.loaded, self.check = loaded, check
        self.cache: Any = None
        # [token, d_model], [d_vocab] behind the prompt
        states, logits = self._call(prompt.ids, whole=True)
        self.prompt_states, self.prompt_logits = states[0], logits[0]

    def feed(
        self, parents: Sequence[int], tokens: Sequence[int]
    ) -> tuple[Float[Tensor, "row d_model"], Float[Tensor, "row d_vocab"]]:
        """Row n becomes the old row `parents[n]` with `tokens[n]` behind it.

        Returns the states behind the final norm and the logits at the new tokens, float32 on the
        CPU.
        """
        device = self.loaded.device
        self.cache.reorder_cache(torch.tensor(list(parents), device=device))
        states, logits = self._call(torch.tensor(list(tokens), device=device)[:, None], whole=False)
        return states[:, -1], logits

    def _call(self, ids: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
        """States [row, token, d_model], of the last token alone unless `whole`, and logits."""
        seen: list[Tensor] = []

        def before(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
            seen.append(args[0] if whole else args[0][:, -1:])
            return (args[0][:, -1:], *args[1:])

        self.check()
        assert self.loaded.head is not None
        with self.loaded.busy():
            handle = self.loaded.head.register_forward_pre_hook(before)
            try:
                output = self.loaded.module(
                    input_ids=ids, past_key_values=self.cache, use_cache=True
                )
            finally:
                handle.remove()
        self.cache = output.past_key_values
        logits = output.logits[:, -1].float().cpu()
        if not finite(logits):
            raise Error(f"the text of {self.loaded.name} became infinite or not a number")
        return seen[-1].float().cpu(), logits
