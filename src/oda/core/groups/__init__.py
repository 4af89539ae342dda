"""Groups: series that are made of the windows of many others (docs/groups.md).

`definition` is what a group does, `names` which series belong to it. `told` is what one partition of the readings says
of its members' windows; `telling` brings that into the log of members, `aggregates` make one number of many windows,
`merging` is the machine over that log. `derived` is the record by which the number comes back into the readings.
"""
