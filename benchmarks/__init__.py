"""How fast, and in how much memory, beside every peer: `make bench`."""
