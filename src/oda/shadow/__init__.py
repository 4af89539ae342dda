"""A second set of rules over the same log, beside the live one: what would it find that the other does not?

It reads the readings and writes into stores of its own; nothing of the live system depends on it.
"""
