"""The one kind of error that a person reads: a sentence that names what is wrong and the fix."""


class UserError(Exception):
    """A mistake or condition that the user can mend; shown without a traceback, exit code 2."""
