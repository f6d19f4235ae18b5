"""The HTTP server: connections, limits of requests, and trusted clients and proxies."""
