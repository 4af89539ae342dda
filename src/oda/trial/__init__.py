"""A trial: the core over readings of a file, in one process, without servers (docs/try.md).

`run` is pure: readings in, what was found out; `clock` is its clock, `compare` tells two results apart, and `traced`
says which band applied to each reading. `source` reads files, with what `guess` sees in them; `page` writes the page.
"""
