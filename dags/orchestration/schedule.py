"""Tell whether the daily schedule sends ticks here.

In production absent logs must be seen, so the schedule is on unless it is turned off: `ATTUNE_SCHEDULE=manual` suits a
home that holds historical logs, where today's tick would wait for logs that never come. Backfills, runs by hand and
everything that follows from assets work alike in both.
"""

from __future__ import annotations

from datetime import datetime

ENDED = datetime(1990, 1, 2)


def schedule_ends() -> datetime | None:
    """Return the date after which no tick is sent: none under a daily schedule, long past under a manual one."""
    from training.settings import Settings

    return ENDED if Settings.from_env().schedule == "manual" else None
