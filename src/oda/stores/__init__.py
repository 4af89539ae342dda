"""What talks: Cassandra, Elasticsearch and Kafka, each behind the same few verbs."""
