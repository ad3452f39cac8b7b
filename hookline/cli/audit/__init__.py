"""`hookline audit`: shows, replays, verifies and exports a log."""
