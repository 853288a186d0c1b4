"""Axis names in annotations are no decoration: a wrong shape is refused in every test."""

import pytest
import torch
from jaxtyping import TypeCheckError

from kernels.lens_topk import lens_topk


def test_a_direction_of_another_width_than_the_unembedding_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="d_model"):
        lens_topk(torch.zeros(2, 5), torch.zeros(9, 4), 3)


def test_a_lone_direction_without_its_axis_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="directions"):
        lens_topk(torch.zeros(4), torch.zeros(9, 4), 3)
