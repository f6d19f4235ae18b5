"""`python -m server` is `portal`."""

from server.cli import app

if __name__ == "__main__":
    app()
