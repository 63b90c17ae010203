"""Who had what, and when: days, intervals, reports, metrics."""
