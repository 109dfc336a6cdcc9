"""What `doctor` looks at on this machine: programs, their trust, the ways to the gate, connections around it."""
