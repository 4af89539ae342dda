"""Storm: how a topology is built, submitted, run and asked about.

`build` has the settings of the topology that `sparse` is building, `topologies` runs and ends them through `sparse`,
`rest` asks the Storm UI. The local cluster's daemons are servers: `oda.cluster`.
"""
