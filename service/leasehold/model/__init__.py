"""What leases are: values, pure checks, outcomes and errors. Standard library only."""
