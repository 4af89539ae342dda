"""Storm spouts, one a file."""
