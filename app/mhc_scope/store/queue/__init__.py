"""The queue: who computes which run until when, who comes next, and which servers and viewers there are."""
