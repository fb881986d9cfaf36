import numpy as np
import pandas as pd

from training.representation.content import ContentEncoder, item_tokens


def profile(*rows: tuple[str, str, str, list[str] | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["category", "subcategory", "title", "attributes"])


def shelves() -> list[list[str]]:
    return [["category=a", "attribute=x"]] * 4 + [["category=b", "attribute=y"]] * 4 + [["attribute=alone"], []]


def test_tokens_name_where_they_come_from():
    found = item_tokens(profile(("drama", "noir", "The Third Man", ["1949", "uk"])))[0]
    assert found[:4] == ["category=drama", "subcategory=noir", "attribute=1949", "attribute=uk"]
    assert len([token for token in found if token.startswith("title#")]) == 3


def test_unknown_says_nothing():
    assert item_tokens(profile(("unknown", "", "unknown", None), ("unknown", "unknown", "", []))) == [[], []]


def test_title_words_are_hashed_the_same_everywhere():
    assert item_tokens(profile(("", "", "Moon", []))) == [["title#2024"]]


def test_items_said_to_be_alike_lie_together():
    encoder = ContentEncoder.learn(shelves(), width=3, seed=1)
    vectors = encoder.encode(shelves())
    assert vectors.shape == (10, 3)
    np.testing.assert_allclose(vectors[0], vectors[3], atol=1e-6)
    assert abs(float(vectors[0] @ vectors[4])) < 1e-5
    np.testing.assert_allclose(np.linalg.norm(vectors[:8], axis=1), 1, atol=1e-5)


def test_a_token_of_one_item_relates_nothing_and_no_token_is_a_zero_row():
    encoder = ContentEncoder.learn(shelves(), width=3, seed=1)
    assert "attribute=alone" not in encoder.tokens
    assert not encoder.encode(shelves())[8:].any()


def test_a_later_item_is_projected_by_the_frozen_map():
    encoder = ContentEncoder.learn(shelves(), width=3, seed=1)
    later = encoder.encode([["category=a", "attribute=never seen"]])
    assert float(later[0] @ encoder.encode(shelves())[0]) > 0.7


def test_rare_tokens_weigh_more():
    rows = [["common", "rare"] if n < 2 else ["common"] for n in range(10)]
    encoder = ContentEncoder.learn(rows, width=2, seed=1)
    assert encoder.idf[encoder.tokens.index("rare")] > encoder.idf[encoder.tokens.index("common")]


def test_without_attributes_vectors_are_zero():
    encoder = ContentEncoder.learn([[], []], width=3, seed=1)
    np.testing.assert_array_equal(encoder.encode([[], []]), np.zeros((2, 3), np.float32))


def test_it_survives_the_disk(tmp_path):
    encoder = ContentEncoder.learn(shelves(), width=3, seed=1)
    encoder.save(tmp_path)
    np.testing.assert_array_equal(ContentEncoder.load(tmp_path).encode(shelves()), encoder.encode(shelves()))
