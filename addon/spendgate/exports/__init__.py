"""What other programs read: calls in their formats. Nothing here goes over a network."""
