"""Giving devices out, the queue, and moving a container to other devices."""
