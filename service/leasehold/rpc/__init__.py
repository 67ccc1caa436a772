"""The gRPC front end: translates requests into commands and outcomes into responses."""
