/**
 * GraphQL Yoga on Node's own server, its caches of parsed and valid documents on, as they are by
 * default. `node yoga.mjs PORT`, with DATABASE_URL and TOKEN_KEY.
 */

import "./production.mjs";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { GraphQLError } from "graphql";
import { createSchema, createYoga } from "graphql-yoga";
import { context, resolvers } from "./resolvers.mjs";
import { viewer } from "./viewers.mjs";

const yoga = createYoga({
  schema: createSchema({
    typeDefs: readFileSync(new URL("schema.graphql", import.meta.url), "utf8"),
    resolvers,
  }),
  async context({ request }) {
    const found = await viewer(request.headers.get("authorization"));
    if (!found) throw new GraphQLError("who asks?", { extensions: { http: { status: 401 } } });
    return context(found);
  },
  logging: false,
  graphiql: false,
  landingPage: false,
  multipart: false,
});

process.once("SIGTERM", () => process.exit());
createServer(yoga).listen(Number(process.argv.at(-1)), "127.0.0.1");
