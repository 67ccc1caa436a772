"""The only place that knows Redis: keys, scripts and the link to the server."""
