"""The pass that cron calls: activity, warnings, stops, removals, leftovers."""
