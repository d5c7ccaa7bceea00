"""Mathematics that several connections share."""
