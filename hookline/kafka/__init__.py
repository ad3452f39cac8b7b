"""The log on real Kafka: our fetcher and producer, group membership, offsets, topics and rights, over aiokafka's protocol."""
