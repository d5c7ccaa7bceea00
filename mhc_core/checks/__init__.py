"""Check runs: a second implementation of every metric, exact relations, and what each check can detect."""
