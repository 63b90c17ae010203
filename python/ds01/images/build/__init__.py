"""Building an image and naming it."""
