"""Help, man pages and completion, made from the launchers' headers."""
