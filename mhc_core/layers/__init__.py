"""What layers compute (blocks), and how they are joined (connections): modules of torch that a stack is built of."""
