/** The practice's money by periods: one statement for what flowed, one for what is due. */

import { rows } from "./database.mjs";
import { refusal } from "./viewers.mjs";

const MOST = 400;
const DAY_MS = 86_400_000;

// $2 and $3 are the range, $4 the first days of its periods, which number them from one.
const FLOWS = `
  SELECT width_bucket(date, $4::date[]) AS place,
    coalesce(sum(amount_minor) FILTER (WHERE kind IN ('SESSION', 'CHARGE')), 0)::bigint AS invoiced,
    coalesce(-sum(amount_minor) FILTER (WHERE kind = 'PAYMENT'), 0)::bigint AS collected,
    coalesce(sum(amount_minor) FILTER (WHERE kind = 'REFUND'), 0)::bigint AS refunded,
    coalesce(-sum(amount_minor) FILTER (WHERE kind = 'WRITE_OFF'), 0)::bigint AS "writtenOff"
  FROM ledger_entry WHERE practice_id = $1 AND date BETWEEN $2 AND $3 GROUP BY place`;

// What moved it before the range counts on the range's first day.
const DUE = `
  SELECT width_bucket(greatest(since, $2), $4::date[]) AS place, sum(minor)::bigint AS minor
  FROM (
    SELECT posted_on AS since, amount_minor AS minor
    FROM ledger_entry WHERE practice_id = $1 AND invoice_id IS NOT NULL
    UNION ALL
    SELECT date, -amount_minor FROM allocation WHERE practice_id = $1
  ) moved WHERE since <= $3::date GROUP BY place`;

const NOTHING = { invoiced: 0, collected: 0, refunded: 0, writtenOff: 0 };

/** The periods of a range, each with its sums; those that no field asks for aren't read. */
export function periods(viewer, { gte, lte }, period) {
  if (!gte || !lte || lte < gte) throw refusal("BAD_RANGE", "both ends are needed, in order");
  const spans = cut(gte, lte, period);
  const starts = spans.map(([start]) => start);
  const asked = [viewer.practiceId, gte, lte, starts];
  let flows;
  let dues;
  return spans.map(([start, end], place) => ({
    start,
    end,
    flow: async () => (await (flows ??= flowed(asked)))[place],
    due: async () => (await (dues ??= due(asked)))[place],
  }));
}

async function flowed(asked) {
  const found = new Map((await rows(FLOWS, ...asked)).map((row) => [row.place, row]));
  return asked[3].map((_, index) => found.get(index + 1) ?? NOTHING);
}

async function due(asked) {
  const found = new Map((await rows(DUE, ...asked)).map((row) => [row.place, row.minor]));
  let total = 0;
  return asked[3].map((_, index) => (total += found.get(index + 1) ?? 0));
}

// -- periods ---------------------------------------------------------------------------------------

function cut(first, last, period) {
  const spans = [];
  for (let start = first; start <= last; start = dayAfter(spans.at(-1)[1])) {
    if (spans.length === MOST) throw refusal("BAD_RANGE", `more than ${MOST} periods`);
    const end = written(ENDS[period](new Date(start)));
    spans.push([start, end < last ? end : last]);
  }
  return spans;
}

const ENDS = {
  DAY: (day) => day,
  WEEK: (day) => new Date(day.getTime() + ((7 - day.getUTCDay()) % 7) * DAY_MS),
  MONTH: (day) => endOfMonth(day, day.getUTCMonth()),
  QUARTER: (day) => endOfMonth(day, Math.floor(day.getUTCMonth() / 3) * 3 + 2),
  YEAR: (day) => endOfMonth(day, 11),
};

function endOfMonth(day, month) {
  return new Date(Date.UTC(day.getUTCFullYear(), month + 1, 0));
}

function dayAfter(day) {
  return written(new Date(new Date(day).getTime() + DAY_MS));
}

function written(day) {
  return day.toISOString().slice(0, 10);
}
