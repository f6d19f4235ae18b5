#!/bin/sh
# Builds the GraphiQL page into web/dist/graphiql, unless what is there is newer than its sources.
#
#   sh web/build.sh
#
# Needs Node 18 or newer with its npm: `node` in PATH, or NODE=/path/to/node.
set -eu
cd "$(dirname "$0")"

# The manifest is the last thing a build makes, and arrives together with the files it names.
built=dist/graphiql/manifest.json
if [ -f "$built" ] && [ -z "$(find graphiql build.mjs build.sh package-lock.json -newer "$built")" ]; then
    echo "The GraphiQL page is built."
    exit 0
fi

# A node in PATH may be a wrapper (a shim, or the script of a wheel that carries node):
# the program behind it says where it lies, and its npm lies beside it.
node=$("${NODE:-node}" -p process.execPath) || {
    echo "web/build.sh needs Node 18 or newer: put node in PATH, or give NODE=/path/to/node." >&2
    exit 1
}
"$node" -e 'process.exit(+(parseInt(process.versions.node) < 18))' || {
    echo "web/build.sh needs Node 18 or newer, and $node is $("$node" --version)." >&2
    exit 1
}
bin=$(dirname "$node")
PATH=$bin:$PATH
export PATH

npm() {
    for cli in "$bin/../lib/node_modules/npm/bin/npm-cli.js" "$bin/node_modules/npm/bin/npm-cli.js"; do
        if [ -f "$cli" ]; then
            "$node" "$cli" "$@"
            return
        fi
    done
    command npm "$@"
}

# npm writes node_modules/.package-lock.json when it has finished, so an install that was
# interrupted, or is of an older lock file, is done again.
installed=node_modules/.package-lock.json
if [ ! -f "$installed" ] || [ package-lock.json -nt "$installed" ]; then
    echo "Installing the page's npm packages (once, about 220 MB in web/node_modules) ..."
    npm ci --loglevel error --no-progress >/dev/null || {
        echo "npm could not install the packages of web/package-lock.json, as it says above." >&2
        exit 1
    }
fi

echo "Building the GraphiQL page ..."
exec "$node" build.mjs
