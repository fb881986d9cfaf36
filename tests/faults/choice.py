"""Choose the faults to try from the places that a job went through."""

from __future__ import annotations

from collections import Counter

from tests.faults.seam import Fault

_ERRORS = {"write": "full", "create": "full", "mkdir": "full", "link": "full", "send": "EPIPE", "connect": "EPIPE"}
"""What may go wrong with a call besides being the last one; everything else may fail with EIO."""


def faults_of(places: list[str], *, every: bool = False) -> list[Fault]:
    """Return the faults to try: at each distinct place a kill at its first call and an error at its last.

    With `every`, a kill and an error at the first, the middle and the last call of each place.
    """
    found = []
    for place, count in Counter(places).items():
        error = _ERRORS.get(place.split()[0], "EIO")
        some = sorted({0, count // 2, count - 1})
        kills, errors = (some, some) if every else (some[:1], some[-1:])
        found += [Fault("kill", place, nth) for nth in kills] + [Fault(error, place, nth) for nth in errors]
    return found


def share_of(faults: list[Fault], num: int) -> list[Fault]:
    """Return so many of the faults, spread over the whole of the job; kills and errors alike."""
    if num >= len(faults):
        return faults
    return [faults[at * len(faults) // num] for at in range(num)]
