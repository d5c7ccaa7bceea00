"""The part of one server in the queue of all: what it claims, reports, and hears of others."""
