"""Logs arrive as they would: everything up to a day, then day by day; a home keeps to one source."""

import pytest
from local.logs import LogSource, deliver, import_reports, preview, stage

from training.contracts.errors import AttuneError
from training.settings import Settings
from training.storage import list_partitions

HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
ROWS = [f"u{n % 3}\ti{n % 4}\t4\t{1_000_000_000 + n * 40_000}\n" for n in range(12)]
WORLD = {"num_users": 30, "num_items": 20, "num_days": 4}


@pytest.fixture
def settings(tmp_path):
    return Settings.from_env({"ATTUNE_HOME": str(tmp_path / "home")})


@pytest.fixture
def ratings(tmp_path):
    folder = tmp_path / "ratings"
    folder.mkdir()
    (folder / "small.inter").write_text(HEADER + "".join(ROWS))
    return LogSource(folder=folder, format="recbole")


def arrived(settings):
    return list_partitions(settings.raw_dir("interactions"))


def test_staging_a_data_set_tells_its_days_and_delivers_nothing(settings, ratings):
    days = stage(settings, ratings)
    assert [str(day) for day in days] == [f"2001-09-{day:02d}" for day in range(9, 15)]
    assert arrived(settings) == []


def test_days_are_delivered_up_to_the_one_that_is_named(settings, ratings):
    days = stage(settings, ratings)
    deliver(settings, ratings, days[3])
    assert arrived(settings) == days[:4]
    deliver(settings, ratings, days[-1])
    assert arrived(settings) == days


def test_delivering_again_touches_no_file(settings, ratings):
    days = stage(settings, ratings)
    deliver(settings, ratings, days[-1])
    before = {path: path.stat().st_mtime_ns for path in settings.home.glob("raw/**/*.parquet")}
    stage(settings, ratings)
    deliver(settings, ratings, days[-1])
    assert {path: path.stat().st_mtime_ns for path in settings.home.glob("raw/**/*.parquet")} == before


def test_simulated_days_are_delivered_by_prefix(settings):
    source = LogSource(simulated=WORLD)
    days = stage(settings, source)
    assert len(days) == 4
    deliver(settings, source, days[1])
    assert max(arrived(settings)) == days[1]
    deliver(settings, source, days[-1])
    assert max(arrived(settings)) == days[-1]


def test_a_home_keeps_to_the_logs_that_it_holds(settings, ratings):
    stage(settings, ratings)
    with pytest.raises(AttuneError, match="found the simulator; set ATTUNE_HOME to a new folder"):
        stage(settings, LogSource(simulated=WORLD))


def test_a_missing_folder_is_an_error_with_a_remedy(settings, tmp_path):
    with pytest.raises(AttuneError, match="name an existing folder"):
        stage(settings, LogSource(folder=tmp_path / "nowhere", format="recbole"))


def test_logs_that_cannot_be_read_keep_no_others_out(settings, ratings, tmp_path):
    with pytest.raises(AttuneError, match="expected logs at"):
        stage(settings, LogSource(folder=tmp_path / "nowhere", format="recbole"))
    days = stage(settings, ratings)
    with pytest.raises(AttuneError, match=r"ratings as recbole, which .* holds, found the simulator"):
        stage(settings, LogSource(simulated=WORLD))
    assert stage(settings, ratings) == days


def test_a_corrected_map_withdraws_what_was_delivered(settings, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "events.csv").write_text(
        "user,item,shipped,ordered\nu,i,2001-01-05,2001-01-01\nv,j,2001-01-06,2001-01-02\n"
    )
    for column in ("shipped", "ordered"):
        (tmp_path / "map.yaml").write_text(f"interactions: {{occurred_at: {column}}}\n")
        source = LogSource(folder=folder, format="csv", columns=tmp_path / "map.yaml")
        days = stage(settings, source)
        deliver(settings, source, days[-1])
    assert [str(day) for day in arrived(settings)] == ["2001-01-01", "2001-01-02"]


def test_each_delivered_day_is_marked_and_the_report_is_kept(settings, ratings):
    days = stage(settings, ratings)
    deliver(settings, ratings, days[1])
    marked = [path.parent.name for path in sorted(settings.home.glob("raw/interactions/*/_SUCCESS"))]
    assert marked == [f"dt={day}" for day in days[:2]]
    assert "small.inter  interactions  12" in import_reports(settings)


def test_a_preview_reads_and_writes_nothing(settings, ratings):
    assert "preview: nothing was written" in preview(settings, ratings)
    assert not settings.home.exists()
    with pytest.raises(AttuneError, match="expected a folder to preview"):
        preview(settings, LogSource())
