#!/bin/sh
# Makes the secrets that nobody has to know, each in a file of the folder, and the files of those that
# somebody gives: `sh packaging/make-secrets.sh packaging/secrets`. It changes no file that is there.
set -eu
umask 027
mkdir -p "$1"
cd "$1"

keep() {
    if [ -e "$1" ]; then cat >/dev/null; else cat >"$1"; fi
}
for name in postgres_password owner_password portal_password token_key metrics_token; do
    openssl rand -hex 32 | keep $name
done
openssl rand -base64 32 | tr '+/' '-_' | keep field_key
printf 'postgresql://portal:%s@database/portal\n' "$(cat portal_password)" | keep database_url
printf 'postgresql://portal_owner:%s@database/portal\n' "$(cat owner_password)" |
    keep database_owner_url
for name in stripe_api_key stripe_webhook_secret smtp_url; do
    if [ ! -e $name ]; then
        : >$name
        echo "Write the secret into $1/$name." >&2
    fi
done
