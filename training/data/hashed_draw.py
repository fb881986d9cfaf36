"""Draw ids by a hash of themselves: who is drawn stays drawn, whoever else comes or goes."""

from __future__ import annotations

from collections.abc import Iterable

import mmh3
import numpy as np
import numpy.typing as npt

_BITS = 53
"""What a float64 holds of a hash exactly."""


def hashed_draw(ids: Iterable[str], purpose: str, seed: int) -> npt.NDArray[np.float64]:
    """Return a number in [0, 1) for each id, which depends on the id, the purpose and the seed alone.

    Those below a share s are a draw of about that share; of two shares the smaller draw is part of the larger.

    Args:
        ids: External ids; equal ones get equal numbers.
        purpose: What is drawn, so that draws for different ends do not depend on each other.
        seed: The home's seed.
    """
    hashes = [mmh3.hash64(f"{purpose} {one}".encode(errors="surrogatepass"), seed, signed=False)[0] for one in ids]
    kept = np.array([value >> (64 - _BITS) for value in hashes], np.float64)
    return np.asarray(kept / 2**_BITS, np.float64)
