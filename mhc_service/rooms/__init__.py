"""Provide rooms for courses: a teacher creates one, and students work in it without accounts."""
