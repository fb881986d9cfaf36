"""Count what each team asks: requests against a rate, looked-up ids against a quota.

Several servers count in one server of the Redis protocol. While that one is away each counts its own share, so that
its outage neither stops lookups nor lifts the limits.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

from training.contracts.errors import AttuneError

logger = logging.getLogger(__name__)

IN_MEMORY = "memory://"
PATIENCE_S = 0.25
RETRY_AFTER_S = 5.0
"""Pause before a store that did not answer is asked again."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one team may use: requests per time, and ids per time."""

    rate: RateLimitItem
    quota: RateLimitItem

    @classmethod
    def parse(cls, rate: str, quota: str) -> Limits:
        """Return the limits of two texts as "600/minute".

        Raises:
            AttuneError: One is no such text.
        """
        return cls(rate=_parsed(rate), quota=_parsed(quota))

    def share(self, of: int) -> Limits:
        """Return the part of one of several that count apart."""
        return Limits(rate=_part(self.rate, of), quota=_part(self.quota, of))


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Which limit is used up, and in how many seconds to ask again."""

    limit: str
    retry_after_s: int


class Counter:
    """Count in one store."""

    def __init__(self, store: str) -> None:
        """Count in memory, or by a "redis://host:port/db" that need not answer yet."""
        patience = {} if store == IN_MEMORY else {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S}
        storage = storage_from_string(store, wrap_exceptions=True, **patience)
        self._rates, self._quotas = SlidingWindowCounterRateLimiter(storage), FixedWindowRateLimiter(storage)

    def admit(self, team: str, limits: Limits) -> Refusal | None:
        """Count one request; return why it is refused, None when it is not."""
        if not self._quotas.test(limits.quota, team, "ids"):
            reset = self._quotas.get_window_stats(limits.quota, team, "ids").reset_time
            return _refusal(f"{limits.quota} ids", reset)
        if not self._rates.hit(limits.rate, team, "requests"):
            reset = self._rates.get_window_stats(limits.rate, team, "requests").reset_time
            return _refusal(f"{limits.rate} requests", reset)
        return None

    def charge(self, team: str, limits: Limits, num_ids: int) -> None:
        """Count ids that were looked up."""
        self._quotas.hit(limits.quota, team, "ids", cost=num_ids)


class SharedCounter:
    """Count in a store that others count in too, and alone while it does not answer."""

    def __init__(self, store: str, num_workers: int = 1) -> None:
        """Count with `num_workers` others in `store`, of whose limits each takes its share when it is away."""
        self._shared, self._own = Counter(store), Counter(IN_MEMORY)
        self._num_workers, self._away_until = num_workers, 0.0

    def admit(self, team: str, limits: Limits) -> Refusal | None:
        """Count one request; return why it is refused, None when it is not."""
        if time.monotonic() >= self._away_until:
            try:
                return self._shared.admit(team, limits)
            except StorageError as error:
                self._is_away(error)
        return self._own.admit(team, limits.share(self._num_workers))

    def charge(self, team: str, limits: Limits, num_ids: int) -> None:
        """Count ids that were looked up."""
        if time.monotonic() >= self._away_until:
            try:
                self._shared.charge(team, limits, num_ids)
                return
            except StorageError as error:
                self._is_away(error)
        self._own.charge(team, limits.share(self._num_workers), num_ids)

    def _is_away(self, error: StorageError) -> None:
        self._away_until = time.monotonic() + RETRY_AFTER_S
        reason = type(error.storage_error).__name__
        logger.warning("the store of limits does not answer (%s); each server counts its share meanwhile", reason)


def _refusal(limit: str, reset_at: float) -> Refusal:
    return Refusal(limit=limit, retry_after_s=max(1, round(reset_at - time.time() + 0.5)))


def _parsed(text: str) -> RateLimitItem:
    try:
        return parse(text)
    except ValueError as error:
        raise AttuneError(f"expected a limit as 600/minute, found {text!r}; see `tokens limit --help`") from error


def _part(item: RateLimitItem, of: int) -> RateLimitItem:
    return type(item)(max(1, item.amount // of), item.multiples)
