"""The local cluster: the real servers, one process each, on this machine, or on several that it plays.

`section` and `layout` say where everything is and listens, `artifacts` and `storm_home` bring the software,
`server` and the files named like a server say how each is started and asked whether it serves,
`processes` finds and ends what was started, `local` is up, down and status.
`network` makes several machines, `certificates`, `keystores` and `accounts` what a secured cluster asks for.
The files beside the servers' versions, in the repository's folder `cluster/`, are their configuration.
"""
