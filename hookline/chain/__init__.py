"""The pure core: events, the fold, the decisions, retries, tokens. No clock, no I/O, no Kafka; imports nothing outward."""
