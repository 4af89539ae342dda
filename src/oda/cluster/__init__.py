"""The local cluster: the real servers, one process each, on this machine's loopback.

`layout` says where everything is and listens, `artifacts` and `storm_home` bring the software,
`server` and the files named like a server say how each is started and asked whether it serves,
`processes` finds and ends what was started, `local` is up, down and status.
The files beside the servers' versions, in the repository's folder `cluster/`, are their configuration.
"""
