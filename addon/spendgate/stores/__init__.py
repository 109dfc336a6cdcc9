"""The trust stores of this machine that our certificate can be put into, and taken out of again."""
