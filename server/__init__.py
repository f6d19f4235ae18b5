"""The process: reads the environment, opens sockets, wires the rest."""
