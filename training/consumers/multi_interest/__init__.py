"""The consumer `multi_interest`: several vectors of a user, so that each interest finds its own items."""

from training.consumers.multi_interest.consumer import CONSUMER

__all__ = ["CONSUMER"]
