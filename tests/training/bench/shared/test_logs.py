"""Every known layout gives the same pairs."""

import pandas as pd
import pytest

from training.bench.shared.logs import PublicLog, read_public_log
from training.contracts.errors import AttuneError, MissingArtefact

ROWS = [(7, 30, 100), (7, 31, 101), (8, 30, 99)]


def write(folder, layout):
    folder.mkdir()
    tabbed = "".join(f"{u}\t{i}\t5\t{t}\n" for u, i, t in ROWS)
    if layout == "u.data":
        (folder / "u.data").write_text(tabbed)
    elif layout == "x.inter":
        (folder / "x.inter").write_text("user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + tabbed)
    elif layout == "ratings.dat":
        (folder / "ratings.dat").write_text(tabbed.replace("\t", "::"))
    elif layout == "item.txt":
        (folder / "item.txt").write_text("7 30 31\n8 30\n")
        (folder / "time.txt").write_text("7 100 101\n8 99\n")
    else:
        table = pd.DataFrame(ROWS, columns=["user", "item", "ts"])
        table.to_parquet(folder / layout) if layout.endswith("parquet") else table.to_csv(folder / layout, index=False)


@pytest.mark.parametrize(
    "layout", ["u.data", "x.inter", "ratings.dat", "item.txt", "interactions.parquet", "interactions.csv"]
)
def test_layouts_agree(tmp_path, layout):
    write(tmp_path / "log", layout)
    log = read_public_log(tmp_path / "log")
    found = log.frame[["user_id", "item_id", "occurred_at"]].itertuples(index=False, name=None)
    assert list(found) == [(8, 30, 99), (7, 30, 100), (7, 31, 101)]
    assert log.name == "log"
    assert log.cut is None


def test_hash_follows_the_content(tmp_path):
    for name in ("one", "two", "three"):
        write(tmp_path / name, "interactions.csv")
    (tmp_path / "three" / "interactions.csv").write_text("user,item,ts\n7,30,100\n")
    one, two, three = (read_public_log(tmp_path / name).content_hash for name in ("one", "two", "three"))
    assert one == two
    assert one != three


def test_published_cut_goes_by_name(tmp_path):
    write(tmp_path / "ml-1m", "interactions.csv")
    assert read_public_log(tmp_path / "ml-1m").cut == 975774014


def test_unknown_folder_and_missing_column_say_what_to_do(tmp_path):
    with pytest.raises(MissingArtefact, match=r"item\.txt"):
        read_public_log(tmp_path)
    (tmp_path / "interactions.csv").write_text("user,item\n1,2\n")
    with pytest.raises(AttuneError, match="timestamp"):
        read_public_log(tmp_path)


def test_a_log_is_encoded_by_its_sorted_ids():
    frame = pd.DataFrame({"user_id": ["b", "a", "b"], "item_id": [7, 9, 9], "occurred_at": [1, 2, 5]})
    users, items, pairs = PublicLog(name="toy", frame=frame, cut=None, content_hash="0").encoded()
    assert (users.tolist(), items.tolist()) == (["a", "b"], [7, 9])
    assert (pairs.user_idx.tolist(), pairs.item_idx.tolist()) == ([1, 0, 1], [0, 1, 1])
    assert (pairs.num_users, pairs.num_items, pairs.as_of) == (2, 2, 6)
