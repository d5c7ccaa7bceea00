"""What the store knows of clients: their tokens, and what they have used."""
