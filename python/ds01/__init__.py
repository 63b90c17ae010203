"""What DS01 does, in rooms; docs/architecture.md has their order."""
