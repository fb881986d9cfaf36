"""Say what the retention policy lets go, and why the rest stays: nothing that is served, pinned or read any more.

What is needed is known in one place, `in_use`; what is derived for spaces of the past (`retention.prune`) and old
snapshots (`retention.retain`) goes with every promotion and refresh, whatever the policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serving_export.online import retired_online
from serving_export.retention import kept_frames, kept_spaces, rollback_targets
from training.contracts.columns import DBT_FEATURES, POOLED_FEATURES
from training.contracts.frames import first_space_of, is_frame
from training.contracts.partitions import Partition
from training.ingest.landed_days import landed_partitions
from training.registry.in_use import item_space_of
from training.registry.ledger import OFFERED, Ledger
from training.registry.pointer import Pointer, read_pointer
from training.representation.item_space import item_spaces_in_use
from training.settings import Settings
from training.storage import folders, list_partitions

READ_BACK_DAYS = 30
"""Days before a training's partition from which it may have read snapshots."""
_GONE = ("retired", "rejected", "not_applicable")


@dataclass(frozen=True, kw_only=True)
class InUse:
    """What must stay, whatever its age.

    Attributes:
        spaces: Served, offered, pinned, or such that a rollback could return to them.
        item_spaces: Those that these read, or that the next training starts from.
        models: (consumer, version) of models served by these, or that may yet be.
        days: Days that are served, or that a training of these may have read.
    """

    spaces: frozenset[str]
    item_spaces: frozenset[str]
    models: frozenset[tuple[str, str]]
    days: frozenset[Partition]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would go: `paths` relative to the home by kind, `runs` of MLflow and `online` spaces by view."""

    paths: dict[str, tuple[str, ...]]
    runs: tuple[tuple[str, str], ...]
    online: dict[str, list[str]]

    @property
    def counts(self) -> dict[str, int]:
        """How many things of each kind."""
        counts = {kind: len(found) for kind, found in self.paths.items()}
        counts |= {"MLflow runs": len(self.runs), "online spaces": sum(map(len, self.online.values()))}
        return {kind: count for kind, count in counts.items() if count}


def in_use(settings: Settings, ledger: Ledger, pointer: Pointer) -> InUse:
    """Return what must stay. A further reason to keep a space, such as a frame built on it, belongs here alone."""
    kept = kept_spaces(settings, ledger, pointer)
    frames = kept_frames(settings, ledger, pointer, kept)
    spaces = frozenset(kept | {first_space_of(frame) for frame in frames if is_frame(frame)})
    refs = [ref for ref in ledger.spaces() if ref.space_id in spaces]
    entries = (*pointer.snapshots, *rollback_targets(settings, pointer))
    live_day = Partition.parse(pointer.live.partition)
    item_spaces = {*item_spaces_in_use(settings, live_day), *(ref.item_space_id for ref in refs)}
    item_spaces |= {found for space_id in spaces if (found := item_space_of(settings, space_id))}
    models = {key for entry in entries for key in entry.versions.items()}
    models |= {(ref.consumer, ref.version) for ref in ledger.models(None, *OFFERED, "live", "legacy")}
    served = {Partition.parse(entry.partition) for entry in entries}
    trained = {Partition.parse(ref.partition) for ref in refs}
    trained |= {Partition.parse(ref.partition) for ref in ledger.models() if (ref.consumer, ref.version) in models}
    read = {day.shift(-back) for day in trained | served for back in range(READ_BACK_DAYS + 1)}
    return InUse(
        spaces=spaces, item_spaces=frozenset(item_spaces), models=frozenset(models), days=frozenset(served | read)
    )


def plan(settings: Settings) -> Plan:
    """Return what the policy lets go now; nothing is removed.

    Raises:
        MissingArtefact: Nothing was ever promoted, so that nobody knows yet what is needed.
    """
    pointer, ledger = read_pointer(settings.published_dir), Ledger(settings)
    needed = in_use(settings, ledger, pointer)
    built = list_partitions(settings.home / "features" / "user_profile")
    newest = max([*built, Partition.parse(pointer.live.partition)])
    paths = {
        "raw days": _raw(settings, newest),
        "feature days": _features(settings, needed, newest),
        "spaces": _spaces(settings, ledger, needed, newest),
        "item spaces": _item_spaces(settings, needed, newest),
        "models": _models(settings, ledger, needed, newest),
        "report days": _reports(settings, needed, newest),
    }
    relative = {kind: tuple(str(p.relative_to(settings.home)) for p in found) for kind, found in paths.items()}
    return Plan(paths=relative, runs=_runs(settings, ledger, needed, newest), online=retired_online(settings, pointer))


def _is_older(day: Partition, newest: Partition, days: int) -> bool:
    return days > 0 and (newest.day - day.day).days > days


def _raw(settings: Settings, newest: Partition) -> Iterator[Path]:
    landed = set(landed_partitions(settings))
    for table in folders(settings.home / "raw"):
        for day in list_partitions(table):
            if day in landed and _is_older(day, newest, settings.retention.raw_days):
                yield table / f"dt={day}"


def _features(settings: Settings, needed: InUse, newest: Partition) -> Iterator[Path]:
    features = settings.home / "features"
    parents = [features / name for name in DBT_FEATURES]
    parents += [folder for name in POOLED_FEATURES for folder in folders(features / name)]
    parents += folders(settings.home / "embeddings")
    for parent in parents:
        days = list_partitions(parent) if parent.is_dir() else []
        firsts = {f"{day}"[:7]: day for day in reversed(days)}
        for day in days:
            is_kept = day in needed.days or day in firsts.values()
            if not is_kept and _is_older(day, newest, settings.retention.feature_days):
                yield parent / f"dt={day}"


def _spaces(settings: Settings, ledger: Ledger, needed: InUse, newest: Partition) -> Iterator[Path]:
    for ref in ledger.spaces(*_GONE):
        folder = settings.space_dir(ref.space_id)
        is_old = _is_older(Partition.parse(ref.partition), newest, settings.retention.model_days)
        if is_old and ref.space_id not in needed.spaces and folder.is_dir():
            yield folder


def _item_spaces(settings: Settings, needed: InUse, newest: Partition) -> Iterator[Path]:
    for folder in folders(settings.home / "item_spaces"):
        text = folder.name[:8]
        day = Partition.parse(f"{text[:4]}-{text[4:6]}-{text[6:]}") if text.isdigit() else newest
        if folder.name not in needed.item_spaces and _is_older(day, newest, settings.retention.model_days):
            yield folder


def _models(settings: Settings, ledger: Ledger, needed: InUse, newest: Partition) -> Iterator[Path]:
    for ref in ledger.models(None, *_GONE):
        folder = settings.model_dir(ref.consumer, ref.version)
        is_old = _is_older(Partition.parse(ref.partition), newest, settings.retention.model_days)
        if is_old and (ref.consumer, ref.version) not in needed.models and folder.is_dir():
            yield folder


def _reports(settings: Settings, needed: InUse, newest: Partition) -> Iterator[Path]:
    for kind, prefix in (("gates", ""), ("failures", ""), ("data_docs", "dt=")):
        for folder in folders(settings.reports_dir / kind):
            day = _day_of(folder.name.removeprefix(prefix))
            if day and day not in needed.days and _is_older(day, newest, settings.retention.report_days):
                yield folder


def _runs(settings: Settings, ledger: Ledger, needed: InUse, newest: Partition) -> tuple[tuple[str, str], ...]:
    """Return (registered model, run name) of what may go from MLflow."""
    days = settings.retention.run_days
    spaces = [
        ("user_encoder", ref.space_id)
        for ref in ledger.spaces(*_GONE)
        if ref.space_id not in needed.spaces and _is_older(Partition.parse(ref.partition), newest, days)
    ]
    models = [
        (ref.consumer, ref.version)
        for ref in ledger.models(None, *_GONE)
        if (ref.consumer, ref.version) not in needed.models and _is_older(Partition.parse(ref.partition), newest, days)
    ]
    return (*spaces, *models)


def _day_of(text: str) -> Partition | None:
    try:
        return Partition.parse(text)
    except ValueError:
        return None
