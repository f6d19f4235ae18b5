#!/bin/sh
# Writes a dump of PostgreSQL into a folder, and removes those older than BACKUP_DAYS (30). The
# connection is that of PGSERVICE or of libpq's other variables: a URL with a password would stand
# in the list of processes.
set -eu
umask 077
folder=$1
file=$folder/portal-$(date -u +%Y-%m-%dT%H%M%SZ).dump

# A dump has its name once it is whole and its list of contents can be read.
pg_dump --format=custom --file="$file.part"
pg_restore --list "$file.part" >/dev/null
mv "$file.part" "$file"
echo "Wrote $file."

# Only after a backup that succeeded.
find "$folder" -maxdepth 1 -name 'portal-*.dump' -mtime "+${BACKUP_DAYS:-30}" -delete
find "$folder" -maxdepth 1 -name 'portal-*.dump.part' -mtime +1 -delete
