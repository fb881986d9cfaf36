"""The consumer `cold_start`: users without interactions, from attributes and picks."""

from training.consumers.cold_start.consumer import CONSUMER

__all__ = ["CONSUMER"]
