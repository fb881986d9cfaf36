"""Hold every path, URL and operational limit in one frozen object; nothing else reads the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from training.contracts.errors import AttuneError
from training.contracts.partitions import Partition
from training.contracts.retention import RetentionPolicy

REPO_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where state lives and how the daily run behaves.

    Attributes:
        home: Absolute folder of all state; two homes on one machine never touch each other.
        database_url: SQLAlchemy URL of the ledger of spaces, models and promotions.
        registry_url: SQLAlchemy URL of the Feast registry.
        online_store: "sqlite", or "redis://user:password@host:port" for the Redis protocol.
        mlflow_uri: MLflow tracking URI.
        online_writer: "bulk" writes snapshots in Feast's formats directly, "feast" by Feast's own writer.
        quarantine_max_share: Share of a partition's rows, of those of an event type, or of the cells of a column that
            may be quarantined before the run stops, in [0, 1].
        arrival_marker: How a folder `raw/<table>/dt=D` shows that it was delivered whole. "auto": a table of which any
            day holds `_SUCCESS` uses markers, and a day of it without one has not arrived; a table without any is taken
            to be renamed into place. "none": markers never count. Any other name is a file that every day must hold.
        event_key: "event_id": one id names one event, whenever it arrives. "event_id_and_day": ids restart every day,
            so that an id names one event among those that arrive on one day; a repetition on a later day, its time and
            all, is still the same event. Landed ids then carry the event's time.
        retrain: "latest" trains only on the newest arrived partition, "every_partition" on each.
        retrain_every_days: Days between two encoder retrains; between them consumers train on the live space.
        item_space_every_days: Days after which item vectors are learned anew.
        stale_after_days: Age of `as_of` above which a lookup is flagged stale.
        lost_users_max_share: Share of the served users that a new snapshot may lack before it is refused, in [0, 1].
        frame: "fixed" turns the vectors of every promoted space into one frame, so that its readers need not follow a
            retrain; "none" leaves each space to itself.
        frame_num_anchors: Users by whom later spaces are brought into a frame; half of them judge how well.
        frame_max_residual: Share of the judging anchors' variance that the frame's map may leave unexplained.
        frame_max_loss: Share of AUC that a reader of the frame's first day may lose against the encoder that it was
            fitted on before a space is not brought into the frame.
        serving_log_share: Share of the users that lookups answer which is kept for the parity check; 0 keeps none.
        parity_max_mismatches: Share of compared vectors that may differ before the parity check fails, in [0, 1].
        seed: The one seed of every random draw.
        retention: How long things are kept that are neither served nor needed; see `RetentionPolicy`.
        schedule: "daily" sends the daily schedule's ticks, "manual" only takes backfills and runs by hand.
        access_file: The lookup server's keys, tokens and teams. None: `access.json` in the home, if there is one.
        limits_store: Where requests of teams are counted: "memory://", or "redis://host:port/db" for several workers.
        request_rate: Requests that a team may send, as "6000/minute", unless the access file says.
        id_quota: Ids that a team may look up, as "100000000/day", unless the access file says.
        stream: "redis://host:port/db" of the server whose streams carry events as they happen; "" follows none.
        stream_partitions: Into how many parts users are split, each with a stream of its own that one worker reads.
    """

    home: Path
    database_url: str
    registry_url: str
    online_store: str
    mlflow_uri: str
    online_writer: str = "bulk"
    quarantine_max_share: float = 0.05
    arrival_marker: str = "auto"
    event_key: str = "event_id"
    retrain: str = "latest"
    retrain_every_days: int = 1
    item_space_every_days: int = 7
    stale_after_days: float = 2.0
    lost_users_max_share: float = 0.01
    frame: str = "fixed"
    frame_num_anchors: int = 2000
    frame_max_residual: float = 0.12
    frame_max_loss: float = 0.005
    serving_log_share: float = 0.0
    parity_max_mismatches: float = 0.01
    seed: int = 17
    retention: RetentionPolicy = field(default_factory=RetentionPolicy)
    schedule: str = "daily"
    access_file: Path | None = None
    limits_store: str = "memory://"
    request_rate: str = "6000/minute"
    id_quota: str = "100000000/day"
    stream: str = ""
    stream_partitions: int = 1

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Return the settings that `ATTUNE_*` variables describe; unset ones take the embedded default.

        Raises:
            AttuneError: A value does not parse or is out of range; the message names the variable.
        """
        env = os.environ if env is None else env
        home = Path(env.get("ATTUNE_HOME") or REPO_ROOT / ".attune").expanduser().resolve()
        return cls(
            home=home,
            database_url=env.get("ATTUNE_DATABASE_URL") or f"sqlite:///{home}/ledger.db",
            registry_url=env.get("ATTUNE_REGISTRY_URL") or f"sqlite:///{home}/feast/registry.db",
            online_store=env.get("ATTUNE_ONLINE_STORE") or "sqlite",
            mlflow_uri=env.get("ATTUNE_MLFLOW_URI") or f"sqlite:///{home}/mlflow/mlflow.db",
            online_writer=_choice(env, "ATTUNE_ONLINE_WRITER", ("bulk", "feast")),
            quarantine_max_share=_number(env, "ATTUNE_QUARANTINE_MAX_SHARE", 0.05, 0, 1),
            arrival_marker=_file_name(env, "ATTUNE_ARRIVAL_MARKER", "auto"),
            event_key=_choice(env, "ATTUNE_EVENT_KEY", ("event_id", "event_id_and_day")),
            retrain=_choice(env, "ATTUNE_RETRAIN", ("latest", "every_partition")),
            retrain_every_days=int(_number(env, "ATTUNE_RETRAIN_EVERY_DAYS", 1, 1, 3650)),
            item_space_every_days=int(_number(env, "ATTUNE_ITEM_SPACE_EVERY_DAYS", 7, 1, 3650)),
            stale_after_days=_number(env, "ATTUNE_STALE_AFTER_DAYS", 2.0, 0, 36500),
            lost_users_max_share=_number(env, "ATTUNE_LOST_USERS_MAX_SHARE", 0.01, 0, 1),
            frame=_choice(env, "ATTUNE_FRAME", ("fixed", "none")),
            frame_num_anchors=int(_number(env, "ATTUNE_FRAME_NUM_ANCHORS", 2000, 2, 1_000_000)),
            frame_max_residual=_number(env, "ATTUNE_FRAME_MAX_RESIDUAL", 0.12, 0, 1),
            frame_max_loss=_number(env, "ATTUNE_FRAME_MAX_LOSS", 0.005, 0, 1),
            serving_log_share=_number(env, "ATTUNE_SERVING_LOG_SHARE", 0.0, 0, 1),
            parity_max_mismatches=_number(env, "ATTUNE_PARITY_MAX_MISMATCHES", 0.01, 0, 1),
            seed=int(_number(env, "ATTUNE_SEED", 17, 0, 2**31 - 1)),
            retention=_retention(env),
            schedule=_choice(env, "ATTUNE_SCHEDULE", ("daily", "manual")),
            access_file=Path(env["ATTUNE_ACCESS_FILE"]).expanduser().resolve()
            if env.get("ATTUNE_ACCESS_FILE")
            else None,
            limits_store=_store(env, "ATTUNE_LIMITS_STORE"),
            request_rate=_limit(env, "ATTUNE_REQUEST_RATE", "6000/minute"),
            id_quota=_limit(env, "ATTUNE_ID_QUOTA", "100000000/day"),
            stream=env.get("ATTUNE_STREAM") or "",
            stream_partitions=int(_number(env, "ATTUNE_STREAM_PARTITIONS", 1, 1, 64)),
        )

    @property
    def online_store_name(self) -> str:
        """The online store without user and password, to be written down: it stays when a password changes."""
        return without_credentials(self.online_store)

    @property
    def warehouse_path(self) -> Path:
        """The DuckDB file that dbt builds; one writing process at a time."""
        return self.home / "warehouse" / "attune.duckdb"

    @property
    def warehouse_lock(self) -> Path:
        """Held over a build and its export: DuckDB takes one writing process, and its marts hold one day."""
        return self.warehouse_path.with_name(".lock")

    @property
    def access_path(self) -> Path:
        """The file of the lookup server's keys, tokens and teams; it need not be there."""
        return self.access_file or self.home / "access.json"

    def raw_dir(self, table: str) -> Path:
        """Folder of arrival-day partitions `dt=D` of a raw table."""
        return self.home / "raw" / table

    def landed_dir(self, table: str) -> Path:
        """Folder of checked, typed arrival-day partitions `dt=D` of a raw table."""
        return self.home / "landed" / table

    def quarantine_dir(self, partition: Partition) -> Path:
        """Folder of the rows of an arrival day that broke the contract, each with its reason."""
        return self.home / "quarantine" / f"dt={partition}"

    def features_dir(self, table: str, partition: Partition, item_space_id: str | None = None) -> Path:
        """Folder of one exported snapshot; pooled tables (taste, onboarding) name their item space."""
        base = self.home / "features" / table
        return (base / f"item_space={item_space_id}" if item_space_id else base) / f"dt={partition}"

    def item_space_dir(self, item_space_id: str) -> Path:
        """Folder of one frozen set of item vectors."""
        return self.home / "item_spaces" / item_space_id

    def space_dir(self, space_id: str) -> Path:
        """Folder of one trained encoder."""
        return self.home / "spaces" / space_id

    def frame_dir(self, frame_id: str) -> Path:
        """Folder of one frame: its anchors, its reader, and the map of every space that was brought into it."""
        return self.home / "frames" / frame_id

    def embeddings_dir(self, space_id: str, partition: Partition) -> Path:
        """Folder of every user's vector of a space as of a partition."""
        return self.home / "embeddings" / f"space={space_id}" / f"dt={partition}"

    def model_dir(self, consumer: str, version: str) -> Path:
        """Folder of one trained consumer model."""
        return self.home / "models" / consumer / version

    @property
    def published_dir(self) -> Path:
        """Folder of snapshots `<space_id>/dt=D/` and of the pointer that says which is live."""
        return self.home / "published"

    @property
    def reports_dir(self) -> Path:
        """Folder of pages for people: gate decisions, data docs, benchmark tables."""
        return self.home / "reports"


def without_credentials(url: str) -> str:
    """Return a URL as it may be said and written: without user and password."""
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.rpartition("@")[2]


def _number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = env.get(name, "")
    try:
        value = float(text) if text else float(default)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise AttuneError(f"expected {name} between {low:g} and {high:g}, found {text!r}; unset it for {default:g}")
    return value


def _retention(env: Mapping[str, str]) -> RetentionPolicy:
    """Return the policy of `ATTUNE_KEEP_RAW_DAYS` and its like, one for each field."""
    names = {one.name: f"ATTUNE_KEEP_{one.name.upper()}" for one in fields(RetentionPolicy)}
    default = RetentionPolicy()
    return RetentionPolicy(
        **{name: int(_number(env, variable, getattr(default, name), 0, 36500)) for name, variable in names.items()}
    )


def _file_name(env: Mapping[str, str], name: str, default: str) -> str:
    value = env.get(name) or default
    if "/" in value or value in (".", ".."):
        raise AttuneError(f"expected {name} as the name of a file, without a folder, found {value!r}; e.g. _SUCCESS")
    return value


def _limit(env: Mapping[str, str], name: str, default: str) -> str:
    value = env.get(name) or default
    if not re.fullmatch(r"[1-9]\d*/(second|minute|hour|day)", value):
        raise AttuneError(f"expected {name} as 600/minute (or second, hour, day), found {value!r}")
    return value


def _store(env: Mapping[str, str], name: str) -> str:
    value = env.get(name) or "memory://"
    if not value.startswith(("memory://", "redis://", "rediss://")):
        raise AttuneError(f"expected {name} as memory:// or redis://host:port/db, found {value.partition(':')[0]!r}")
    return value


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = env.get(name) or choices[0]
    if value not in choices:
        raise AttuneError(f"expected {name} as one of {', '.join(choices)}, found {value!r}")
    return value
