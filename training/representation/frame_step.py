"""Begin a frame with a space, and bring later spaces into it where its readers lose nothing by that.

A refusal is a value, and never the space's own: the space is served all the same, outside of the frame.

Shape legend: I items, Z latent columns, D item vector columns.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from training.arrays import Floats
from training.contracts.artefacts import Check, GateDecision
from training.contracts.frames import frame_of
from training.contracts.partitions import Partition
from training.data.feature_store import read_item_features
from training.evaluation.gate import decide
from training.registry.ledger import Ledger
from training.representation.alignment import SpaceMap
from training.representation.anchors import Anchors
from training.representation.frame import Frame, keep_frame, learn_map
from training.representation.frame_reader import ensure_label_week, fit_reader, judge_reader, load_reader, save_reader
from training.representation.item_space import load_item_space
from training.representation.rows import ensure_snapshot, read_snapshot
from training.representation.user_space import UserSpace
from training.settings import Settings
from training.storage import new_dir

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FramedSpace:
    """What publishes a space in a frame.

    Attributes:
        space_map: From the space's vectors to those of the frame.
        figures: What was measured of it; empty for the space that the frame began with.
        item_ids: External ids of the space's items, sorted, new ones included.
        item_vectors: float32 [I, 2 D], both modalities, on the axes of the frame's first item space.
    """

    space_map: SpaceMap
    figures: Mapping[str, Any]
    item_ids: tuple[str, ...]
    item_vectors: Floats


def begin_frame(settings: Settings, space_id: str, partition: Partition) -> str:
    """Freeze anchors as of a partition and return the frame that begins with a space; one that is there stays."""
    frame_id = frame_of(space_id)
    folder = settings.frame_dir(frame_id)
    if folder.exists():
        return frame_id
    space = UserSpace.load(settings, space_id)
    ensure_snapshot(settings, partition, space.ref.item_space_id)
    ensure_label_week(settings, partition, [space])
    anchors = Anchors.draw(settings, partition, read_snapshot(settings, partition, space.ref.item_space_id))
    until = Partition.parse(space.ref.partition)
    vectors_AZ = space.encode(anchors.pooled_in(settings, space.ref.item_space_id, until))
    reader = fit_reader(settings, space, partition)
    with new_dir(folder) as hidden:
        if reader is not None:
            save_reader(hidden, reader)
        keep_frame(hidden, space, anchors, vectors_AZ)
    logger.info("%s begins with %d anchors as of %s", frame_id, len(vectors_AZ), partition)
    return frame_id


def bring_into_frame(settings: Settings, frame_id: str, space_id: str) -> GateDecision:
    """Return whether a space is carried in a frame; its map is learned once and kept, and judged by today's limits."""
    frame, space = Frame.load(settings, frame_id), UserSpace.load(settings, space_id)
    figures = frame.figures_of(space_id)
    if figures is None and space_id != frame.space_id:
        figures = _measure(settings, frame, space)
    subject = f"frame {space_id} in {frame_id}"
    decision = decide(settings, subject, Partition.parse(space.ref.partition), list(checks_of(settings, figures)))
    Ledger(settings).record_gate(decision)
    return decision


def framed_space(settings: Settings, frame_id: str, space_id: str, partition: Partition) -> FramedSpace:
    """Return what publishes a space in a frame that it was brought into, with the items known as of a partition."""
    frame = Frame.load(settings, frame_id)
    ref = UserSpace.load(settings, space_id).ref
    items = load_item_space(settings, ref.item_space_id).extended(read_item_features(settings, partition))
    return FramedSpace(frame.map_of(space_id), frame.figures_of(space_id) or {}, items.item_ids, items.vectors())


def checks_of(settings: Settings, figures: Mapping[str, Any] | None) -> Iterator[Check]:
    """Yield the checks of a space's step into a frame; None is the space that the frame began with."""
    if figures is None:
        yield Check(name="first space of the frame", passed=True, observed="it keeps its own axes", allowed="any")
        return
    if "unfit" in figures:
        yield Check(
            name="a rotation", passed=False, observed=str(figures["unfit"]), allowed="widths and anchors that fit"
        )
        return
    yield Check(
        name="held-out residual",
        passed=figures["residual"] <= settings.frame_max_residual,
        observed=f"{figures['residual']:.3f} of the variance of {figures['num_judging']} judging anchors",
        allowed=f"at most {settings.frame_max_residual:g}",
    )
    for side in ("users", "items"):
        yield _reader_check(settings, side, figures["reader"])


def _reader_check(settings: Settings, side: str, reader: Mapping[str, Any]) -> Check:
    """A loss counts where it is large and more than chance: on a small log a week's labels swing by more."""
    name = f"first-day reader, framed {side}"
    allowed = f"no loss above {settings.frame_max_loss:.1%} whose 95 % interval is below 0"
    found = reader.get(side, reader)
    if "change" not in found:
        return Check.not_measured(name, str(found["evidence"]), allowed)
    low, high = found["interval"]
    observed = (
        f"AUC {found['auc']:.4f} against {found['auc_first']:.4f}, {found['change']:+.2%} in [{low:+.2%}, {high:+.2%}]"
    )
    return Check(
        name=name, passed=found["change"] >= -settings.frame_max_loss or high >= 0, observed=observed, allowed=allowed
    )


def _measure(settings: Settings, frame: Frame, space: UserSpace) -> dict[str, Any]:
    figures, space_map = _learn(settings, frame, space)
    frame.keep_step(space.ref.space_id, space_map, figures)
    return figures


def _learn(settings: Settings, frame: Frame, space: UserSpace) -> tuple[dict[str, Any], SpaceMap | None]:
    judging_A = frame.anchors.judging
    if space.width != frame.width:
        return {"unfit": f"vectors of width {space.width}, the frame's are of {frame.width}"}, None
    if (~judging_A).sum() < frame.width or not judging_A.any():
        return {"unfit": f"{(~judging_A).sum()} anchors to learn {frame.width} columns from"}, None
    space_map, figures = learn_map(frame.encoded_by(settings, space), frame.vectors_AZ, judging_A)
    first = UserSpace.load(settings, frame.space_id)
    ensure_label_week(settings, Partition.parse(space.ref.partition), [first, space])
    figures["reader"] = judge_reader(settings, load_reader(frame.folder), first, space, space_map)
    return figures, space_map
