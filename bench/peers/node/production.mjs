/** Imported before anything else: the packages look at this once, when they are loaded. */

process.env.NODE_ENV ??= "production";
process.env.GRAPHILE_ENV ??= "production";
