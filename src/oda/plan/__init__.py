"""How large a cluster must be, from what the parts were measured to cost (docs/capacity.md). Pure: figures in and out.

`measured` has what benchmarks write, `demand` what is asked for, `model` what follows from both; of groups `groups`
does that, of machines that are several `several`, and of Cassandra's partitions `buckets`.
"""
