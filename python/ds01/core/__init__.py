"""The ground: errors, paths, files and locks, YAML, units, tables, the engine."""
