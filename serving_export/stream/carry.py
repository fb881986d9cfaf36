"""Carry the overlay over to a snapshot before it is served: nobody's vector goes back in time at a flip.

Whoever is about to move the pointer calls `carry`, in its own process, whether or not a worker runs. A view's rows and
the view itself are one transaction; a worker's next one finds the view and keeps it from then on, so that no event
falls between.
"""

from __future__ import annotations

import logging
from contextlib import closing

from serving_export.stream.landed import LandedEvents, taken_events, taken_sign_ups
from serving_export.stream.state import State, state_paths
from serving_export.stream.view import View, Views, view_key
from training.contracts.partitions import Partition
from training.registry.pointer import PublishedSnapshot
from training.settings import Settings

logger = logging.getLogger(__name__)
USERS_AT_ONCE = 2_000


def carry(settings: Settings, entry: PublishedSnapshot) -> int:
    """Encode over a snapshot every user whose newest events its batch does not have; return how many there are.

    Raises:
        MissingArtefact: The space, or the partition's features, are not there.
    """
    paths = state_paths(settings)
    if not paths:
        return 0
    view, landed, count = Views(settings).open(view_key(entry)), LandedEvents(settings), 0
    for path in paths:
        with closing(State(path)) as state:
            count += carry_part(settings, state, view, landed)
    logger.info("carried %d users over to %s of %s", count, entry.space_id, entry.partition)
    return count


def carry_part(settings: Settings, state: State, view: View, landed: LandedEvents) -> int:
    """Carry one part's users over; one that was carried already changes nothing.

    Most are encoded before anyone is kept waiting, then under the lock those of whom something came meanwhile.
    """
    key = view.key
    if key in state.views():
        return 0
    mark_taken(settings, state, landed, Partition.parse(key.partition))
    marks = state.marks()
    users = state.touched_users(key.partition)
    rows = [
        row for at in range(0, len(users), USERS_AT_ONCE) for row in view.rows(state, users[at : at + USERS_AT_ONCE])
    ]
    with state.transaction():
        late = state.touched_users(key.partition, marks)
        number = state.add_view(key)
        state.put_rows(number, rows)
        view.features.take(state, (), late)
        state.put_rows(number, view.rows(state, late))
    return len({*users, *late})


def mark_taken(settings: Settings, state: State, landed: LandedEvents, until: Partition) -> None:
    """Store of everything that waits whether the batch of a day has it."""
    events, sign_ups = state.not_in_batch()
    taken = list(taken_events(landed, events, until)), list(taken_sign_ups(settings, sign_ups, until))
    if any(taken):
        with state.transaction():
            state.mark_in_batch(*taken)
