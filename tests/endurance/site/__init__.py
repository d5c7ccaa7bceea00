"""What operators run: servers on a database, with a cluster where there is one, and clients that use them."""
