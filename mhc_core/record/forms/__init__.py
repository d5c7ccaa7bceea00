"""A record as people take it away: tables, arrays, and what a notebook shows."""
