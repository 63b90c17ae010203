"""GPUs: what devices there are, who may have which, who has which, and who waits."""
