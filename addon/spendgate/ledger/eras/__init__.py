"""What became of the tables, era by era."""
