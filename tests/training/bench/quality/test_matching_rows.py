"""Variants are configurations of the one recipe; what they reach is tested where the representation is built."""

from training.bench.quality.matching_rows import VARIANTS


def test_first_variant_is_the_recipe_as_it_is_and_names_differ_from_the_peers():
    from training.consumers.matching.consumer import MatchingConfig
    from training.evaluation.peers.table import PEERS

    assert VARIANTS["temporal"]["matching"] == MatchingConfig()
    for variants in VARIANTS.values():
        assert not set(variants) & {peer.name for peer in PEERS}
        assert len({repr(config) for config in variants.values()}) == len(variants)


def test_each_protocol_validates_as_it_judges_and_shows_the_start_alone():
    assert {config.validation for config in VARIANTS["temporal"].values()} == {"newest"}
    assert {config.validation for config in VARIANTS["loo"].values()} == {"last_item"}
    for variants in VARIANTS.values():
        assert variants["matching, untrained start"].max_epochs == 0
