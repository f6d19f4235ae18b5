/** Who asks: the token is looked up with each request, as the portal does it. */

import { createHmac } from "node:crypto";
import { GraphQLError } from "graphql";
import { rows } from "./database.mjs";

const KEY = process.env.TOKEN_KEY;
const digest = (text) => createHmac("sha256", KEY).update(text).digest("hex");
// A stored hash begins with the id of its key.
const KEY_ID = digest("key id").slice(0, 8);

const LOOK_UP = `
  SELECT t.kind, t.practice_id AS "practiceId", t.client_id AS "clientId", t.scopes, p.currency,
    p.stripe_account IS NOT NULL AS "takesCards", (now() AT TIME ZONE p.time_zone)::date AS today
  FROM token t JOIN practice p ON p.id = t.practice_id
  WHERE t.hash = $1 AND t.revoked_at IS NULL AND t.expires_at > now()
    AND (NOT t.is_sign_in OR t.last_used_at > now() - interval '15 minutes')
    AND t.kind IN ('CLIENT', 'DASHBOARD')`;

/** The viewer of an Authorization header; undefined where no token that works is in it. */
export async function viewer(authorization) {
  const [, token] = /^bearer +(\S+)$/i.exec(authorization ?? "") ?? [];
  if (!token) return undefined;
  const [found] = await rows(LOOK_UP, `${KEY_ID}:${digest(token)}`);
  return found;
}

/** Stops a field that the viewer's token has no scope for. */
export function needs(viewer, ...scopes) {
  for (const scope of scopes) {
    if (!viewer.scopes.includes(scope)) throw refusal("FORBIDDEN", `this needs ${scope}`);
  }
}

export function refusal(code, message) {
  return new GraphQLError(message, { extensions: { code } });
}
