/** The database: a pool of ten connections, each of which prepares a statement once, by its name. */

import pg from "pg";

// Amounts stay below 2^53, and a day is told as PostgreSQL writes it.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);
pg.types.setTypeParser(pg.types.builtins.DATE, (day) => day);

export const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: 10,
  idleTimeoutMillis: 0,
  options:
    "-c jit=off -c default_transaction_read_only=on -c statement_timeout=10000 -c plan_cache_mode=force_generic_plan",
});

const names = new Map();

/** The rows of a statement. What is alike in its text is one prepared statement. */
export async function rows(text, ...values) {
  let name = names.get(text);
  if (!name) names.set(text, (name = `read_${names.size}`));
  return (await pool.query({ name, text, values })).rows;
}
