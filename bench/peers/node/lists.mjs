/** Lists that are read page by page, the newest first: a page's rows are read once, if at all. */

import { rows } from "./database.mjs";
import { refusal } from "./viewers.mjs";

// $1 is the practice; $2 the client who asks, who sees what is shared, or NULL of a dashboard.
export const SEEN = {
  CLIENT: "d.practice_id = $1 AND d.client_id = $2 AND d.shared_at IS NOT NULL",
  DASHBOARD: "d.practice_id = $1 AND $2::uuid IS NULL",
};

/** Invoices, statements or superbills in sight: a client's, or all. */
export function documents(viewer, table, columns, asked, { clientId, most = 100 } = {}) {
  const values = [viewer.practiceId, viewer.clientId];
  const given = (value) => `$${values.push(value)}`;
  const where = [SEEN[viewer.kind]];
  if (clientId) where.push(`d.client_id = ${given(clientId)}`);
  where.push(...within("d.issued_on", asked.dateRange, given));
  const [counted, all] = [[...values], where.join(" AND ")];
  where.push(...before("d.issued_on, d.serial", asked.after, given));
  const size = pageSize(asked.first, most);
  const text = `
    SELECT ${columns}, d.issued_on AS "issuedOn", d.serial FROM ${table} d
    WHERE ${where.join(" AND ")} ORDER BY d.issued_on DESC, d.serial DESC LIMIT ${given(size + 1)}`;
  return {
    page: once(async () => cut(await rows(text, ...values), size)),
    count: async () => {
      const [{ count }] = await rows(`SELECT count(*) FROM ${table} d WHERE ${all}`, ...counted);
      return count;
    },
    cursor: ({ issuedOn, serial }) => written(issuedOn, serial),
  };
}

/**
 * The account history: the ledger, sessions on no invoice, payments that moved nothing (yet). Each
 * is cut before they are put together. An entry knows what the newer ones of its page add up to.
 */
export function history(viewer, clientId, { dateRange, after, first }) {
  const values = [viewer.practiceId, clientId];
  const given = (value) => `$${values.push(value)}`;
  const range = [
    ...within("date", dateRange ?? { gte: monthBefore(viewer.today) }, given),
    ...before("date, id", after, given),
  ];
  const size = pageSize(first, 100);
  const limit = `ORDER BY date DESC, id DESC LIMIT ${given(size + 1)}`;
  const branch = (columns, from, where = "true") => `(
    SELECT * FROM (
      SELECT id, ${columns} FROM ${from} WHERE practice_id = $1 AND client_id = $2 AND ${where}
    ) found WHERE ${["true", ...range].join(" AND ")} ${limit})`;
  const text = `
    SELECT * FROM (${[
      branch(
        `posted_on AS date, kind, description, amount_minor AS "amountMinor",
          amount_minor AS "changeMinor", NULL AS status,
          invoice_id AS "invoiceId", payment_id AS "paymentId"`,
        "ledger_entry",
      ),
      branch(
        "date, 'SESSION', description, fee_minor, 0, 'UNINVOICED', NULL::uuid, NULL::uuid",
        "session s",
        `NOT EXISTS (SELECT FROM invoice_line l
          WHERE l.practice_id = $1 AND l.session_id = s.id AND NOT l.is_void)`,
      ),
      branch(
        `created_on AS date, 'PAYMENT', 'Payment', -amount_minor, 0,
          CASE state WHEN 'FAILED' THEN 'FAILED' ELSE 'PENDING' END, NULL::uuid, NULL::uuid`,
        "payment",
        "state NOT IN ('SUCCEEDED', 'CANCELED')",
      ),
    ].join(" UNION ALL ")}) entries ${limit}`;
  const page = once(async () => withNewer(list, cut(await rows(text, ...values), size)));
  const list = {
    clientId,
    page,
    cursor: ({ date, id }) => written(date, id),
    // What is newer than the page: nothing, where it begins with the newest of all.
    skipped: once(async () =>
      after || dateRange?.lte ? newerThan(viewer, clientId, (await page()).nodes[0]) : 0,
    ),
  };
  return list;
}

function withNewer(list, page) {
  let newer = 0;
  for (const entry of page.nodes) {
    Object.assign(entry, { list, newer });
    newer += entry.changeMinor;
  }
  return page;
}

async function newerThan(viewer, clientId, { date, id }) {
  const text = `
    SELECT coalesce(sum(amount_minor), 0)::bigint AS minor FROM ledger_entry
    WHERE practice_id = $1 AND client_id = $2 AND (posted_on, id) > ($3::date, $4::uuid)`;
  const [{ minor }] = await rows(text, viewer.practiceId, clientId, date, id);
  return minor;
}

function once(find) {
  let found;
  return () => (found ??= find());
}

// -- what is asked of a list -----------------------------------------------------------------------

function within(column, range, given) {
  const { gte, lte } = range ?? {};
  if (gte && lte && lte < gte) throw refusal("BAD_RANGE", "gte is after lte");
  const conditions = [];
  if (gte) conditions.push(`${column} >= ${given(gte)}::date`);
  if (lte) conditions.push(`${column} <= ${given(lte)}::date`);
  return conditions;
}

function before(columns, cursor, given) {
  if (!cursor) return [];
  const keys = read(cursor);
  const types = columns.includes("serial") ? ["date", "bigint"] : ["date", "uuid"];
  const parameters = types.map((type, place) => `${given(keys[place])}::${type}`);
  return [`(${columns}) < (${parameters.join(", ")})`];
}

function pageSize(first, most) {
  const size = first ?? 25;
  if (size < 1 || size > most) throw refusal("BAD_PAGE", `a page has 1 to ${most} items`);
  return size;
}

/** The page's rows, of which one more was read to tell whether there are more. */
function cut(found, size) {
  return { nodes: found.slice(0, size), hasNextPage: found.length > size };
}

function written(...keys) {
  return Buffer.from(keys.join("~")).toString("base64url");
}

const CURSOR = /^\d{4}-\d\d-\d\d~(\d{1,18}|[0-9a-f-]{36})$/;

function read(cursor) {
  const text = Buffer.from(cursor, "base64url").toString();
  if (!CURSOR.test(text)) throw refusal("BAD_CURSOR", "not a cursor of this list");
  return text.split("~");
}

function monthBefore(today) {
  const day = new Date(today);
  day.setUTCDate(day.getUTCDate() - 30);
  return day.toISOString().slice(0, 10);
}
