"""What people read: stories, events, the queue, GPUs, limits, reports."""
