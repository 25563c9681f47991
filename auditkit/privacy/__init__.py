"""Private training: what it samples, what noise it adds, and the epsilon that it really spent."""
