"""What each layer installs: versions worked out in a container of the base."""
