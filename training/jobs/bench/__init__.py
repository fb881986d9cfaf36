"""Measure the project beside its peers: quality by full ranking, speed as ratios, tables and pictures of both."""
