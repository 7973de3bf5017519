"""Foreign contracts, one module each; none imports another."""
