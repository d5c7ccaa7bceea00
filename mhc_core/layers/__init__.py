"""The torch modules of a stack: what its layers compute (blocks), and how these layers are joined (connections)."""
