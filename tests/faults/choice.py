"""Choose the faults to try from the places that a job went through."""

from __future__ import annotations

from collections import Counter

from tests.faults.seam import Fault

_ERRORS = {"write": "full", "create": "full", "mkdir": "full", "link": "full", "send": "EPIPE", "connect": "EPIPE"}
"""What may go wrong with a call besides being the last one; everything else may fail with EIO."""


def faults_of(places: list[str], *, every: bool = False) -> list[Fault]:
    """Return the faults of each distinct place: a kill and an error at its first call, or at every one."""
    found = []
    for place, count in Counter(places).items():
        error = _ERRORS.get(place.split()[0], "EIO")
        for nth in range(count if every else 1):
            found += [Fault("kill", place, nth), Fault(error, place, nth)]
    return found
