"""What people and machines can see of a running service: logs, metrics, readiness."""
