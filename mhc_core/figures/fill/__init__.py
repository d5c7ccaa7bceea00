"""What fills a panel's template with the columns of runs."""
