"""`oda serve`: the page, its API, metrics and health, as one process. What it says it asks of `oda.query`.

`app` has the routes, `guard` who may ask, `push` the live viewers, `run` starts and ends it all.
"""
