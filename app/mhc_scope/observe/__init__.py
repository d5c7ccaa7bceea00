"""What an operator sees of the server: log lines that name request, run and client."""
