"""Array types by what they hold, and how names tell shapes.

An array's name ends in a letter per axis: `vectors_UZ` is [U, Z]. Letters that mean the same everywhere:

    U users         I items          B rows of a batch    K vectors of one user
    D tower width   Z width of a user vector of the space E width of an item vector

Others are told in the docstring of the module that uses them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
"""Vectors, weights and scores."""
Doubles = npt.NDArray[np.float64]
"""Statistics and sums."""
Indices = npt.NDArray[np.int64]
"""Contiguous indices, counts and seconds."""
Mask = npt.NDArray[np.bool_]
"""What is in."""
