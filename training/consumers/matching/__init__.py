"""The consumer `matching`: one dual encoder that recommends items to users and finds users for items."""

from training.consumers.matching.consumer import CONSUMER

__all__ = ["CONSUMER"]
