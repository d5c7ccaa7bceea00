"""Report to operators: log lines that name request, run and client."""
