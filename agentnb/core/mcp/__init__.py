"""The Model Context Protocol: a server of the hub's tools, and a client of others' servers."""
