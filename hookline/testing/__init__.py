"""Twins and faults for tests: Kafka in memory, several brokers, a clock moved by hand; no image ships it."""
