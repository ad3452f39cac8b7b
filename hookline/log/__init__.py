"""The logs in Kafka: topics, codec, writer, the one reader (fence, causal order), table, snapshots."""
