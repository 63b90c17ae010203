"""The engine's containers, as people see them."""
