"""From a live socket to the account, process and repository behind it, and to the person of the policy."""
