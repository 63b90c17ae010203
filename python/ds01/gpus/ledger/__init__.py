"""Who has which device: what is written down, held against the engine."""
