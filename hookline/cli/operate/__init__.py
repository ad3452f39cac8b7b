"""What an operator asks and does: topics, log, quarantine, keys, doctor, sources."""
