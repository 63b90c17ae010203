"""An image's source: specification, lock, Dockerfile."""
