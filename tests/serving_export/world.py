"""A small home on disk: real ledger, real snapshots, an encoder and a consumer small enough to check by hand."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from serving_export.champion import ENCODER
from serving_export.online import retired_online
from serving_export.packed import pack_ids
from serving_export.promote import promote_space
from serving_export.snapshot_writer import Sources
from serving_export.vectors import ConsumerVectors, FrameVectors, SpaceVectors
from training.contracts.artefacts import Check, GateDecision, ModelRef, SpaceRef
from training.contracts.frames import frame_of
from training.contracts.partitions import Partition
from training.data.online.guard import forget_slots
from training.registry.ledger import Ledger
from training.registry.pointer import Pointer, PublishedSnapshot
from training.settings import Settings

DAY1, DAY2, DAY3, DAY4 = (Partition.parse(f"2026-11-0{day}") for day in range(1, 5))
NUM_ITEMS, DIMENSION = 20, 8


def noise(name: str, *shape: int) -> NDArray[np.float32]:
    """Return numbers that depend on a name alone."""
    return np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)


@dataclass
class World:
    """A home with users that grow by one a day, from u00..u39 on the first day.

    With `num_vectors` above 1 the consumer gives every user so many: its vector in the space and noise besides. A
    later `build` makes other vectors of the same day; the first `lost` users are known no more. With `cold`, a consumer
    `cold_start` answers for users without history, and imagines their vectors. Spaces that are `unfit` are not carried
    in a frame.
    """

    settings: Settings
    num_vectors: int = 1
    build: int = 0
    lost: int = 0
    cold: bool = False
    validated: list[tuple[str, str]] = field(default_factory=list)
    materialised: list[str] = field(default_factory=list)
    online: dict[str, str] = field(default_factory=dict)
    announced: list[str] = field(default_factory=list)
    unfit: set[str] = field(default_factory=set)
    before_validating: Callable[[SpaceVectors], None] = lambda _: None

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.settings)

    @property
    def sources(self) -> Sources:
        return Sources(
            encode=self.encode,
            consume=self.consume,
            validate=self.validate,
            materialise=self.materialise,
            forget=self.forget,
            announce=self.announce,
            forget_slot=self.forget_slot,
            begin_frame=self.begin_frame,
            bring_into_frame=self.bring_into_frame,
            turn=self.turn,
            required=("matching", "cold_start") if self.cold else ("matching",),
        )

    def users(self, partition: Partition) -> list[str]:
        return [f"u{number:02d}" for number in range(self.lost, 39 + partition.day.day)]

    @property
    def built(self) -> str:
        """Tells builds of the same day's features apart; the first one adds nothing."""
        return f" build {self.build}" if self.build else ""

    def encode(self, settings: Settings, space_id: str, partition: Partition) -> tuple[list[str], NDArray[np.float32]]:
        users = self.users(partition)
        return users, np.stack([noise(f"{space_id} {partition} {user}{self.built}", DIMENSION) for user in users])

    def consume(self, settings: Settings, model: ModelRef, partition: Partition) -> ConsumerVectors:
        """User n has seen items n and n + 1 (modulo the items); users with n divisible by 10 have no history."""
        users, z_UZ = self.encode(settings, model.space_id, partition)
        is_cold = model.consumer == "cold_start"
        rows = [row for row in range(len(users)) if row % 10 or is_cold]
        without = [user for row, user in enumerate(users) if not row % 10]
        pairs = [(at, (row + step) % NUM_ITEMS) for at, row in enumerate(rows) for step in (0, 1) if row % 10]
        indices = tuple(np.array(pairs).T)
        return ConsumerVectors(
            model=model,
            user_ids=pack_ids([users[row] for row in rows]),
            item_ids=pack_ids([f"i{number:02d}" for number in range(NUM_ITEMS)], "item_id"),
            user_vectors=self.several(z_UZ[rows]),
            item_vectors_ID=noise(f"{model.consumer} {model.version}", NUM_ITEMS, DIMENSION),
            seen_UI=sparse.csr_array((np.ones(len(pairs), bool), indices), shape=(len(rows), NUM_ITEMS)),
            virtual_ids=pack_ids(without) if is_cold else None,
            virtual_z=noise(f"imagined {partition}", len(without), DIMENSION) if is_cold else None,
        )

    def several(self, vectors_UD: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.num_vectors == 1:
            return vectors_UD
        more = [noise(f"vector {k} of users", *vectors_UD.shape) for k in range(1, self.num_vectors)]
        return np.stack([vectors_UD, *more], axis=1)

    def validate(self, settings: Settings, space: SpaceVectors) -> None:
        self.before_validating(space)
        self.validated.append((space.space_id, str(space.partition)))

    def materialise(self, settings: Settings, entry: PublishedSnapshot, slot: str) -> None:
        if slot == entry.space_id:
            self.materialised.append(entry.partition)
        self.online[slot] = entry.path

    def forget_slot(self, settings: Settings, slot: str) -> None:
        forget_slots(settings, "user_embedding", [slot])
        self.online.pop(slot, None)

    def begin_frame(self, settings: Settings, space_id: str, partition: Partition) -> str:
        return frame_of(space_id)

    def bring_into_frame(self, settings: Settings, frame_id: str, space_id: str) -> GateDecision:
        fits = space_id not in self.unfit
        checks = (Check(name="held-out residual", passed=fits, observed="0.85", allowed="at most 0.12"),)
        subject, day = f"frame {space_id} in {frame_id}", f"{space_id[:4]}-{space_id[4:6]}-{space_id[6:8]}"
        return GateDecision(subject=subject, partition=day, accepted=fits, checks=checks, report="gate.html")

    def turn(self, settings: Settings, frame_id: str, space_id: str, partition: Partition) -> FrameVectors:
        """Another rotation for every space; the first one of a frame stays as it is."""
        first = frame_id == frame_of(space_id)
        rotation, _ = np.linalg.qr(noise(f"turn {space_id}", DIMENSION, DIMENSION).astype(np.float64))
        return FrameVectors(
            frame_id=frame_id,
            rotation_ZZ=np.eye(DIMENSION) if first else rotation,
            centre_Z=np.zeros(DIMENSION),
            origin_Z=np.zeros(DIMENSION),
            item_ids=pack_ids([f"i{number:02d}" for number in range(NUM_ITEMS)], "item_id"),
            item_vectors=noise(f"items {space_id}", NUM_ITEMS, 4),
            about={} if first else {"residual": 0.05},
        )

    def forget(self, settings: Settings, pointer: Pointer) -> None:
        for view, spaces in retired_online(settings, pointer).items():
            forget_slots(settings, view, spaces)
            for space_id in spaces:
                self.online.pop(space_id, None)

    def announce(self, settings: Settings, pointer: Pointer) -> None:
        self.announced.append(pointer.live.space_id)

    def promote(self, *days: Partition) -> list[str]:
        """Train and promote a space on each day and return the space ids."""
        spaces = []
        for day in days:
            spaces.append(self.train(day).space_id)
            assert promote_space(self.settings, day, self.sources)["promoted"]
        return spaces

    def train(self, partition: Partition, tag: str = "a") -> SpaceRef:
        """Record a candidate space of a partition that its gate accepted, and an accepted `matching` model on it."""
        space_id = f"{partition.day:%Y%m%d}-{zlib.crc32(f'{partition}{tag}'.encode()):08x}"
        ref = SpaceRef(space_id=space_id, item_space_id="20261101-11111111", partition=str(partition))
        self.ledger.record_space(ref)
        self.judge(ref)
        self.train_matching(ref, partition)
        if self.cold:
            version = "cold" if partition == DAY1 else f"cold-{partition}"
            cold = ModelRef(consumer="cold_start", version=version, space_id=space_id, partition=str(partition))
            self.ledger.record_model(cold)
        return ref

    def judge(self, space: SpaceRef, *, accepted: bool = True) -> None:
        """Record what a space's gate decided; its state stays as it is."""
        subject, check = (
            f"{ENCODER} {space.space_id}",
            Check(name="auc", passed=accepted, observed="0.7", allowed="0.6"),
        )
        self.ledger.record_gate(
            GateDecision(
                subject=subject, partition=space.partition, accepted=accepted, checks=(check,), report="gate.html"
            )
        )

    def train_matching(self, space: SpaceRef, partition: Partition, tag: str = "") -> ModelRef:
        version = f"{partition.day:%Y%m%d}-{zlib.crc32(f'{space.space_id}{tag}'.encode()):08x}"
        ref = ModelRef(consumer="matching", version=version, space_id=space.space_id, partition=str(partition))
        self.ledger.record_model(ref)
        return ref
