"""The chromium that browser tests drive."""

import os
import shutil

HOW_TO_GET = "install chromium (Debian: apt-get install chromium), or name it with CHROMIUM=/path"
PROGRAMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def find() -> str | None:
    """Return the path of the executable, or None."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, PROGRAMS)), None)
