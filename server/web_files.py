"""Paths of the files of `web/`: beside the packages in a checkout, inside this one in a wheel."""

from pathlib import Path

INSTALLED = Path(__file__).parent / "web"
CHECKOUT = Path(__file__).parent.parent / "web"
WEB = INSTALLED if INSTALLED.is_dir() else CHECKOUT

PORTAL_PAGE = WEB / "portal"
QUERIES = WEB / "queries"
# Not there before `web/build.sh` has made it.
GRAPHIQL = WEB / "dist" / "graphiql"
