"""What ODA's servers of HTTP share: where they listen, who may ask, and how much they take."""
