"""What must stay equal from one version to the next: ids, numbers, figures, links, stored data."""
