"""Variants are configurations of the one recipe; what they reach is tested where the representation is built."""

from training.jobs.bench.matching_rows import VARIANTS


def test_first_variant_is_the_recipe_as_it_is_and_names_differ_from_the_peers():
    from training.evaluation.peers.table import PEERS
    from training.recipes.matching import MatchingConfig

    assert VARIANTS["matching"] == MatchingConfig()
    assert not set(VARIANTS) & {peer.name for peer in PEERS}
    assert len({repr(config) for config in VARIANTS.values()}) == len(VARIANTS)
