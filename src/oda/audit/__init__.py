"""The audit: what one pass over the Kafka log gives, computed independently and compared with the stores."""
