"""What a reconciliation looks like: its document, its flat rows, its page. Pure: no clock, no files."""
