/** What is looked up by a key, for all that ask at once: the DataLoaders of one request. */

import DataLoader from "dataloader";
import { rows } from "./database.mjs";
import { SEEN } from "./lists.mjs";

export const INVOICE = `
  d.id, d.client_id AS "clientId", d.number, d.issued_on AS "issuedOn", d.due_on AS "dueOn",
  d.total_minor AS "totalMinor", d.is_void AS "isVoid"`;

// Each has the practice as $1 and the keys as $2, and gives the key of each row.
const STANDINGS = `
  SELECT i.id AS key, i.is_void AS "isVoid",
    (SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entry e
      WHERE e.practice_id = $1 AND e.invoice_id = i.id) AS billed,
    (SELECT coalesce(sum(amount_minor), 0)::bigint FROM allocation a
      WHERE a.practice_id = $1 AND a.invoice_id = i.id) AS paid
  FROM invoice i WHERE i.practice_id = $1 AND i.id = ANY ($2::uuid[])`;

const MOVEMENTS = `
  SELECT client_id AS key, sum(amount_minor)::bigint AS balance,
    coalesce(sum(amount_minor) FILTER (WHERE invoice_id IS NULL), 0)::bigint AS pool,
    coalesce(sum(amount_minor) FILTER (WHERE kind IN ('SESSION', 'CHARGE')), 0)::bigint AS invoiced,
    coalesce(sum(amount_minor) FILTER (WHERE kind = 'REFUND'), 0)::bigint AS refunded,
    coalesce(sum(amount_minor) FILTER (WHERE kind = 'DISPUTE'), 0)::bigint AS "takenBack",
    coalesce(sum(amount_minor) FILTER (WHERE kind = 'WRITE_OFF'), 0)::bigint AS "writtenOff",
    coalesce(sum(amount_minor) FILTER (WHERE kind = 'ADJUSTMENT'), 0)::bigint AS adjusted
  FROM ledger_entry WHERE practice_id = $1 AND client_id = ANY ($2::uuid[]) GROUP BY client_id`;
const NOTHING_MOVED = {
  balance: 0,
  pool: 0,
  invoiced: 0,
  refunded: 0,
  takenBack: 0,
  writtenOff: 0,
  adjusted: 0,
};

// What was put toward a client's invoices, what is due of disputed ones, whether a payment is on.
const ACCOUNTS = `
  SELECT c.id AS key,
    (SELECT coalesce(sum(amount_minor), 0)::bigint FROM allocation a
      WHERE a.practice_id = $1 AND a.client_id = c.id) AS allocated,
    (SELECT coalesce(sum(
          (SELECT coalesce(sum(amount_minor), 0) FROM ledger_entry e
            WHERE e.practice_id = $1 AND e.invoice_id = held.invoice_id)
          - (SELECT coalesce(sum(amount_minor), 0) FROM allocation a
            WHERE a.practice_id = $1 AND a.invoice_id = held.invoice_id)), 0)::bigint
      FROM (
        SELECT t.invoice_id FROM dispute d
        JOIN allocation t ON t.practice_id = d.practice_id AND t.dispute_id = d.id
        WHERE d.practice_id = $1 AND d.client_id = c.id AND d.state = 'OPEN'
        GROUP BY t.invoice_id HAVING sum(t.amount_minor) < 0
      ) held) AS disputed,
    EXISTS (SELECT FROM payment p WHERE p.practice_id = $1 AND p.client_id = c.id
      AND p.state IN ('CREATED', 'CONFIRMING', 'REQUIRES_ACTION', 'PROCESSING')) AS "isPaying"
  FROM unnest($2::uuid[]) c(id)`;

const REFUNDS = `
  SELECT payment_id AS key, sum(amount_minor)::bigint AS minor FROM ledger_entry
  WHERE practice_id = $1 AND payment_id = ANY ($2::uuid[]) AND kind = 'REFUND'
  GROUP BY payment_id`;

// The status of payments with disputes that were not won.
const DISPUTES = `
  SELECT payment_id AS key,
    CASE WHEN bool_or(state = 'OPEN') THEN 'DISPUTED' ELSE 'CHARGED_BACK' END AS status
  FROM dispute WHERE practice_id = $1 AND payment_id = ANY ($2::uuid[]) AND state <> 'WON'
  GROUP BY payment_id`;

const FEES = `
  SELECT superbill_id AS key, sum(fee_minor)::bigint AS minor FROM superbill_line
  WHERE practice_id = $1 AND superbill_id = ANY ($2::uuid[]) GROUP BY superbill_id`;

const PAYMENTS = `
  SELECT a.invoice_id AS key, p.id, p.amount_minor AS "amountMinor",
    coalesce((SELECT CASE WHEN bool_or(state = 'OPEN') THEN 'DISPUTED' ELSE 'CHARGED_BACK' END
        FROM dispute WHERE practice_id = $1 AND payment_id = p.id AND state <> 'WON'
        GROUP BY payment_id),
      CASE WHEN p.state IN ('CREATED', 'CONFIRMING') THEN 'PENDING' ELSE p.state END) AS status
  FROM (SELECT DISTINCT invoice_id, payment_id FROM allocation
    WHERE practice_id = $1 AND invoice_id = ANY ($2::uuid[])) a
  JOIN payment p ON p.practice_id = $1 AND p.id = a.payment_id
  ORDER BY p.created_on DESC, p.id DESC`;

const CARDS = `
  SELECT client_id AS key, id, brand, last4, exp_month AS "expMonth", exp_year AS "expYear",
    is_default AS "isDefault"
  FROM payment_method
  WHERE practice_id = $1 AND client_id = ANY ($2::uuid[]) AND removed_at IS NULL
  ORDER BY is_default DESC, added_at DESC, id DESC`;

// These look at the viewer as well: $1 is the practice, $2 the client who asks, $3 the keys.
const CLIENTS = `
  SELECT id AS key, id, name FROM client
  WHERE practice_id = $1 AND ($2::uuid IS NULL OR id = $2) AND id = ANY ($3::uuid[])`;

const invoices = (seen) =>
  `SELECT d.id AS key, ${INVOICE} FROM invoice d WHERE ${seen} AND d.id = ANY ($3::uuid[])`;

const allocations = (seen) => `
  SELECT a.payment_id AS key, ${INVOICE}, sum(a.amount_minor)::bigint AS "allocatedMinor"
  FROM allocation a JOIN invoice d ON d.practice_id = a.practice_id AND d.id = a.invoice_id
  WHERE a.practice_id = $1 AND a.payment_id = ANY ($3::uuid[]) AND ${seen}
  GROUP BY a.payment_id, d.practice_id, d.id HAVING sum(a.amount_minor) <> 0
  ORDER BY d.serial`;

export function loaders(viewer) {
  const { practiceId, clientId } = viewer;
  const seen = SEEN[viewer.kind];
  return {
    standings: one(STANDINGS, [practiceId]),
    movements: one(MOVEMENTS, [practiceId], NOTHING_MOVED),
    accounts: one(ACCOUNTS, [practiceId]),
    refunds: one(REFUNDS, [practiceId], { minor: 0 }),
    disputes: one(DISPUTES, [practiceId], { status: null }),
    fees: one(FEES, [practiceId], { minor: 0 }),
    payments: many(PAYMENTS, [practiceId]),
    cards: many(CARDS, [practiceId]),
    clients: one(CLIENTS, [practiceId, clientId], null),
    invoices: one(invoices(seen), [practiceId, clientId], null),
    allocations: many(allocations(seen), [practiceId, clientId]),
  };
}

function one(text, values, none) {
  return new DataLoader(async (keys) => {
    const found = new Map();
    for (const row of await rows(text, ...values, keys)) found.set(row.key, row);
    return keys.map((key) => found.get(key) ?? none);
  });
}

function many(text, values) {
  return new DataLoader(async (keys) => {
    const found = new Map(keys.map((key) => [key, []]));
    for (const row of await rows(text, ...values, keys)) found.get(row.key).push(row);
    return keys.map((key) => found.get(key));
  });
}
