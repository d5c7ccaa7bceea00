"""What the state machine plays with: servers on a database, viewers of runs, and what each run must come to."""
