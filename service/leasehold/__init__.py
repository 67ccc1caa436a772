"""Leasehold: appointment slots held in Redis for a few minutes, and booked exactly once."""

__version__ = "0.1.1"
