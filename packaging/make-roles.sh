#!/bin/sh
# Makes the two roles and the database of docs/databases.md in a new PostgreSQL, from the passwords
# in files. The image of PostgreSQL runs it once, when it makes its data directory.
set -eu

# By psql's own quoting, so that a password may have any character.
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" \
    --set=owner="$(cat "${OWNER_PASSWORD_FILE:-/run/secrets/owner_password}")" \
    --set=portal="$(cat "${PORTAL_PASSWORD_FILE:-/run/secrets/portal_password}")" <<'SQL'
CREATE ROLE portal_owner LOGIN PASSWORD :'owner';
CREATE ROLE portal LOGIN PASSWORD :'portal';
CREATE DATABASE portal OWNER portal_owner;
SQL
