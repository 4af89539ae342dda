"""`oda export`: what the online store has of a span of time, as a table in a file, for notebooks."""
