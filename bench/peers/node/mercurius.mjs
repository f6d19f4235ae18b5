/**
 * Mercurius on Fastify, with graphql-jit from an operation's second request on. `node
 * mercurius.mjs PORT`, with DATABASE_URL and TOKEN_KEY.
 */

import "./production.mjs";
import { readFileSync } from "node:fs";
import Fastify from "fastify";
import mercurius from "mercurius";
import { context, resolvers } from "./resolvers.mjs";
import { viewer } from "./viewers.mjs";

const app = Fastify({ logger: false });

app.decorateRequest("viewer");
app.addHook("onRequest", async (request, reply) => {
  request.viewer = await viewer(request.headers.authorization);
  if (!request.viewer) return reply.code(401).send({ errors: [{ message: "who asks?" }] });
});

app.register(mercurius, {
  schema: readFileSync(new URL("schema.graphql", import.meta.url), "utf8"),
  resolvers,
  context: (request) => context(request.viewer),
  jit: 1,
});

process.once("SIGTERM", () => process.exit());
await app.listen({ host: "127.0.0.1", port: Number(process.argv.at(-1)) });
