"""The naive program that ODA is compared with: one process broadcasts numbers, others judge them from memory.

It is what anybody would write first, done well, to see what that can't do (docs/naive.md). Nothing else uses it.
"""
