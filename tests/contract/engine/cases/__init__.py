"""The cases of the contract, by what they ask of an engine."""
