"""What images there are: the users', the catalog's, the engine's."""
