"""Hold the column maps of public layouts, one YAML file per FORMAT."""
