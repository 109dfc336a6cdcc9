"""Alerts: what a policy's rules have to tell, and whom."""
