"""The HTTP server: connections, what requests may be like, and who may send them."""
