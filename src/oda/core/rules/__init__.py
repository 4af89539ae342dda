"""Rules: which series get which window, detectors and incident policy.

`file` is what a file may say, `rule` what a series gets. `parse` makes the one of the other, with `document` for YAML
with places, and `check` and `problem` for what is wrong. `match` finds a series' rule, by its `pattern`; `shown` writes
rules as YAML again.
"""
