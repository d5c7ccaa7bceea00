"""What a server does under load, a script each: `python -m benchmarks.service.NAME`. It prints rows."""
