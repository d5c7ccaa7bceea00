"""What can be asked of a record alone, whose model is not here: a synthetic twin, and checks of its own numbers."""
