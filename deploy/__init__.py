"""What operators start: containers, Kubernetes, and a small cluster on one machine."""
