"""The checks of a server."""
