"""The server process: it reads the environment, opens sockets, and connects all parts."""
