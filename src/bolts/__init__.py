"""Storm bolts, one a file."""
