"""Describe the columns of the encoder's input: which block each belongs to, and what may be missing together.

Shape legend: B users of a batch, F input columns, K blocks, G groups.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Block:
    """Columns [start, stop) that are scaled, reconstructed and weighted together.

    Attributes:
        name: Feature name, such as `taste_content_7d` or `country`.
        kind: "vector" (may be absent per user), "dense" (always there) or "one_hot" (first column = unknown).
        start: First column.
        stop: One past the last column.
        groups: What the block goes missing with: a window, a modality, onboarding, demographics, behaviour.
    """

    name: str
    kind: str
    start: int
    stop: int
    groups: tuple[str, ...]

    @property
    def columns(self) -> slice:
        """The block's columns."""
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class InputLayout:
    """All blocks in column order, and the value that each column takes when its block is missing.

    Attributes:
        blocks: K blocks that tile the F columns.
        absent: F values of a user of whom nothing is known.
    """

    blocks: tuple[Block, ...]
    absent: tuple[float, ...]

    @property
    def num_columns(self) -> int:
        """F."""
        return self.blocks[-1].stop

    @property
    def group_names(self) -> tuple[str, ...]:
        """The G groups, sorted."""
        return tuple(sorted({group for block in self.blocks for group in block.groups}))

    def group_columns(self) -> npt.NDArray[np.bool_]:
        """Return which columns go missing with each group, bool [G, F]."""
        mask = np.zeros((len(self.group_names), self.num_columns), bool)
        for row, group in enumerate(self.group_names):
            for block in self.blocks:
                mask[row, block.columns] = group in block.groups
        return mask

    @cached_property
    def column_shares(self) -> npt.NDArray[np.float32]:
        """float32 [F, K]: values of columns times this are their mean in each block; 0 for a one-hot block."""
        shares = np.zeros((self.num_columns, len(self.blocks)), np.float32)
        for place, block in enumerate(self.blocks):
            if block.kind != "one_hot":
                shares[block.columns, place] = 1 / (block.stop - block.start)
        return shares

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"blocks": [asdict(block) for block in self.blocks], "absent": list(self.absent)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> InputLayout:
        """Return the layout that `to_dict` described."""
        blocks = tuple(Block(**{**block, "groups": tuple(block["groups"])}) for block in values["blocks"])
        return cls(blocks, tuple(values["absent"]))
