"""leasehold.v1: the operators' own API."""
