"""Name frames: a fixed system of coordinates is called after the space whose own coordinates it keeps."""

from __future__ import annotations

_PREFIX = "frame-"


def frame_of(space_id: str) -> str:
    """Return the name of the frame that begins with a space."""
    return _PREFIX + space_id


def first_space_of(frame_id: str) -> str:
    """Return the space that a frame began with."""
    return frame_id.removeprefix(_PREFIX)


def is_frame(name: str) -> bool:
    """Return whether a name is that of a frame, and not that of a space."""
    return name.startswith(_PREFIX)
