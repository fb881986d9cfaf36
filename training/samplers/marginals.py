"""State the marginals log p(u) and log p(i) of the sampling in force, smoothed for ids that were not drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.arrays import Floats, Indices


@dataclass(frozen=True)
class Marginals:
    """Log probabilities of drawing each user and each item as part of a training sample.

    Attributes:
        log_p_users_U: float32[U].
        log_p_items_I: float32[I].
    """

    log_p_users_U: Floats
    log_p_items_I: Floats

    @classmethod
    def of_samples(
        cls, user_idx: Indices, item_idx: Indices, num_users: int, num_items: int, smoothing: float = 1.0
    ) -> Marginals:
        """Return the frequencies of the *samples* (not of raw events) with additive smoothing.

        Args:
            user_idx: int64[N], the user of each training sample of the window in force.
            item_idx: int64[N], its item.
            num_users: U.
            num_items: I.
            smoothing: Added to each count, so that an id that was never drawn keeps a finite logarithm.
        """
        return cls(_log_frequencies(user_idx, num_users, smoothing), _log_frequencies(item_idx, num_items, smoothing))


def _log_frequencies(idx: Indices, size: int, smoothing: float) -> Floats:
    counts = np.bincount(idx, minlength=size) + smoothing
    return np.asarray(np.log(counts / counts.sum()), np.float32)
