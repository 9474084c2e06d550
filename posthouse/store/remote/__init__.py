"""A store that another process of this machine has open, reached over a socket pair (`workers`)."""
