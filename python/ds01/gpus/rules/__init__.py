"""Pure decisions: what a request means, and whether and where it may be met."""
