"""Keep everything running for minutes, move and kill what is served meanwhile, and hold it to what it promises."""
