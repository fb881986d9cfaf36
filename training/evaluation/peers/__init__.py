"""Hold the incumbents that every model of ours is measured beside: same split, same scorer, tuned the same way."""
