"""Runs against packages that the tests do not install, because they are large or made for GPUs."""
