"""The command `python -m server`, the same as `portal`."""

from server.cli.main import app

if __name__ == "__main__":
    app()
