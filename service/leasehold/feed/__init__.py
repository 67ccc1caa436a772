"""Availability feeds: what partners say there is to hold."""
