"""Rooms of courses: a teacher makes one, and students work in it without accounts."""
