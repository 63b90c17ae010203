"""Images: from a person's words to a built image, and what there is."""
