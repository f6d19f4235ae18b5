/**
 * PostGraphile 5 on Node's own server: a schema made of the views in postgraphile.sql, and of the
 * plans in plans.mjs. It gets its rows by a few statements, without a transaction around them:
 * sight is in the plans, not in settings of the connection. `node postgraphile.mjs PORT`, with
 * DATABASE_URL and TOKEN_KEY; its operations are those of postgraphile.graphql.
 */

import "./production.mjs";
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { SafeError } from "postgraphile/grafast";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { pool } from "./database.mjs";
import { plans, seeing } from "./plans.mjs";
import { viewer } from "./viewers.mjs";

/** Before anything of a request is read: who asks. */
const bearers = {
  name: "BearersPlugin",
  grafserv: {
    middleware: {
      async processGraphQLRequestBody(next, { request }) {
        const found = await viewer(request.getHeader("authorization"));
        if (!found) throw new SafeError("who asks?", { statusCode: 401 });
        request.requestContext.viewer = seeing(found);
        return next();
      },
    },
  },
};

const instance = postgraphile({
  extends: [PostGraphileAmberPreset],
  plugins: [plans, bearers],
  // Nothing is reached but from the fields that look at the viewer, and nothing is changed.
  disablePlugins: [
    "NodePlugin",
    "PgAllRowsPlugin",
    "PgConditionArgumentPlugin",
    "PgConnectionArgOrderByPlugin",
    "PgConnectionArgOrderByDefaultValuePlugin",
    "PgRowByUniquePlugin",
    "PgCustomTypeFieldPlugin",
    "PgMutationCreatePlugin",
    "PgMutationUpdateDeletePlugin",
    "QueryQueryPlugin",
  ],
  pgServices: [makePgService({ pool, schemas: ["postgraphile"], pubsub: false })],
  grafast: { context: ({ viewer }) => ({ viewer }) },
  grafserv: { graphiql: false, watch: false, outputDataAsString: true },
});

process.once("SIGTERM", () => process.exit());
const server = createServer();
await instance.createServ(grafserv).addTo(server);
server.listen(Number(process.argv.at(-1)), "127.0.0.1");
