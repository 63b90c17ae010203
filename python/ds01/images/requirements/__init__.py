"""Requirement files as people write them."""
