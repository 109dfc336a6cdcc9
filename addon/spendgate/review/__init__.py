"""What a reviewer asks of a policy before it takes force: pure functions over policies, no disk, no clock."""
