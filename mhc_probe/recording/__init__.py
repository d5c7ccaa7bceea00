"""What is heard while a model runs: operations on the state, passes, gradients, and what is left out."""
