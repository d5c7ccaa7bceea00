"""What happens when a spec is computed: passes, probes, training, verification."""
