"""Theory: laws that predict columns of a run from its spec, before anything is computed."""
