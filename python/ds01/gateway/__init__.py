"""The Docker API gateway: what reaches the engine, and in what form."""
