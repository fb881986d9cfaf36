"""What the parameters of a request may be."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from fastapi import Depends, Query
from pydantic import AfterValidator, BaseModel

from training.contracts.errors import SpaceMismatch


def _whole(text: str) -> str:
    """Return text that can be encoded; half of a surrogate pair, which JSON can spell, cannot."""
    if not text.isascii() and text.encode("utf-8", "ignore").decode() != text:
        raise ValueError("expected text in Unicode, found half of a surrogate pair")
    return text


Text = Annotated[str, AfterValidator(_whole)]
Count = Annotated[int, Query(ge=1, le=1000)]
OnUnknownVector = Literal["raise", "null", "ignore"]
"""An unknown user is an error, has no vector, or is left out of the answer."""
OnUnknownItem = Literal["raise", "null"]
OnUnknownRanking = Literal["raise", "null", "popular", "popularity"]
"""What is unknown is an error, has no ranking, or gets the most popular items (two names for one thing)."""


class Pin(NamedTuple):
    """The space and the frame that an answer must be of; None takes what is live."""

    space: str | None = None
    frame: str | None = None


def one_pin(space: str | None, space_id: str | None, frame: str | None) -> Pin:
    """Return the pin of a request in which the space may go by either name.

    Raises:
        SpaceMismatch: It goes by both, and they differ.
    """
    if space and space_id and space != space_id:
        raise SpaceMismatch(space, space_id, "the request", "name one space, as `space`")
    return Pin(space or space_id, frame)


class PinnedBody(BaseModel):
    """The space (by either name) and the frame that the answer to a batch must be of."""

    space: Text | None = None
    space_id: Text | None = None
    frame: Text | None = None

    @property
    def pin(self) -> Pin:
        """The space and the frame that the answer must be of."""
        return one_pin(self.space, self.space_id, self.frame)


def _pin_of_query(
    space: Annotated[str | None, Query(description="refuse an answer of any other space")] = None,
    space_id: Annotated[str | None, Query(description="the same as `space`")] = None,
    frame: Annotated[str | None, Query(description="answer from the space that carries this frame")] = None,
) -> Pin:
    return one_pin(space, space_id, frame)


Pinned = Annotated[Pin, Depends(_pin_of_query)]
