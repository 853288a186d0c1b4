"""The definition, in plain torch; it runs on every device."""

import torch
from torch import Tensor

from kernels.feature_topk.codes import Codes


def run(codes: Codes, weight: Tensor) -> Tensor:
    return torch.nn.functional.embedding_bag(
        codes.feature.long(),
        weight,
        codes.start[:-1],
        mode="sum",
        per_sample_weights=codes.value.to(weight.dtype),
    )
