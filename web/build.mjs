// Bundles the GraphiQL page into dist/graphiql: content-hashed files, each beside its gzip and
// brotli copies, and manifest.json, which says to server/http/graphiql.py which two the page starts with.
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import zlib from "node:zlib";

import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const dist = join(here, "dist");
const target = join(dist, "graphiql");

/** What both bundles share: minified, for browsers of the last three years. */
const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  metafile: true,
  target: ["es2022"],
  define: { "process.env.NODE_ENV": '"production"' },
  // The licences of what is bundled stay with it, in a file of their own that the bundle names.
  legalComments: "linked",
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  logLevel: "warning",
};

/**
 * Turns the fonts that GraphiQL's style sheet carries as data: addresses into files,
 * so that `font-src 'self'` is enough and a browser loads only the ones it shows.
 */
const fontsAsFiles = {
  name: "fonts as files",
  setup({ onLoad, onResolve }) {
    const fonts = new Map();
    onLoad({ filter: /[\\/]graphiql[\\/]dist[\\/]style\.css$/ }, ({ path }) => {
      const css = readFileSync(path, "utf8");
      const contents = css.replace(/url\(data:font\/(\w+);base64,([^)]*)\)/g, (_, type, base64) => {
        const bytes = Buffer.from(base64, "base64");
        const name = `font-${createHash("sha256").update(bytes).digest("hex").slice(0, 8)}.${type}`;
        fonts.set(name, bytes);
        return `url("embedded:${name}")`;
      });
      return { contents, loader: "css" };
    });
    onResolve({ filter: /^embedded:/ }, ({ path }) => {
      return { path: path.slice("embedded:".length), namespace: "embedded" };
    });
    onLoad({ filter: /.*/, namespace: "embedded" }, ({ path }) => {
      return { contents: fonts.get(path), loader: "file" };
    });
  },
};

/** Leaves out the style sheets of Monaco's modules: GraphiQL's own contains them. */
const withoutMonacoStyles = {
  name: "without Monaco's styles",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]monaco-editor[\\/].*\.css$/ }, () => ({ contents: "", loader: "empty" }));
  },
};

/** Builds the three workers and answers with their file names by label. */
async function buildWorkers(outdir) {
  const sources = {
    editor: "monaco-editor/esm/vs/editor/editor.worker.js",
    json: "monaco-editor/esm/vs/language/json/json.worker.js",
    graphql: "monaco-graphql/esm/graphql.worker.js",
  };
  const entryPoints = Object.entries(sources).map(([label, path]) => ({ in: path, out: `worker-${label}` }));
  const { metafile } = await build({ ...common, entryPoints, outdir, format: "iife" });
  return Object.fromEntries(Object.keys(sources).map((label) => [label, output(metafile, `worker-${label}`, ".js")]));
}

/** Builds the page itself and answers with the file names of its script and style sheet. */
async function buildPage(outdir, workers) {
  const { metafile } = await build({
    ...common,
    entryPoints: [{ in: "graphiql/main.jsx", out: "graphiql" }],
    outdir,
    format: "esm",
    splitting: true,
    jsx: "automatic",
    // GraphiQL names the parsers by their old paths, which lead to CommonJS files: bundled, these
    // have no named exports, and the button that tidies a query would find no parser.
    alias: {
      "prettier/parser-graphql": "prettier/plugins/graphql",
      "prettier/parser-babel": "prettier/plugins/babel",
    },
    define: { ...common.define, WORKERS: JSON.stringify(workers) },
    plugins: [fontsAsFiles, withoutMonacoStyles],
  });
  return { script: output(metafile, "graphiql", ".js"), style: output(metafile, "graphiql", ".css") };
}

/** Finds the one file that an entry point became. */
function output(metafile, name, extension) {
  const names = Object.keys(metafile.outputs).map((path) => basename(path));
  const found = names.filter((file) => file.startsWith(`${name}-`) && file.endsWith(extension));
  if (found.length !== 1) throw new Error(`${name}${extension}: expected one file, got [${found}]`);
  return found[0];
}

/** Puts a gzip and a brotli copy beside each file worth compressing; fonts but .ttf are already. */
async function compress(directory) {
  const gzip = promisify(zlib.gzip);
  const brotli = promisify(zlib.brotliCompress);
  // Level 11 would take ten times as long, for a tenth less.
  const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 9 };
  const names = readdirSync(directory).filter((name) => /\.(js|css|ttf|txt)$/.test(name));
  await Promise.all(
    names.map(async (name) => {
      const path = join(directory, name);
      const bytes = readFileSync(path);
      writeFileSync(`${path}.gz`, await gzip(bytes, { level: 9 }));
      writeFileSync(`${path}.br`, await brotli(bytes, { params }));
    }),
  );
}

mkdirSync(dist, { recursive: true });
// Everything is made in a folder beside the target and then takes its place in one step,
// so that what lies at the target is always a whole build.
const draft = mkdtempSync(join(dist, ".graphiql-"));
chmodSync(draft, 0o755);
try {
  const page = await buildPage(draft, await buildWorkers(draft));
  await compress(draft);
  writeFileSync(join(draft, "manifest.json"), JSON.stringify(page) + "\n");
  rmSync(target, { recursive: true, force: true });
  renameSync(draft, target);
} finally {
  rmSync(draft, { recursive: true, force: true });
}
