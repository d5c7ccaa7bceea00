"""Record forward and backward passes with hooks: operations on the state, passes, gradients, padding."""
