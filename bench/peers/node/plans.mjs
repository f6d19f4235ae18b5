/** The plans of the PostGraphile peer: what is in sight, and what is derived of a row's columns. */

import { TYPES } from "postgraphile/@dataplan/pg";
import { connection, context, get, lambda, SafeError } from "postgraphile/grafast";
import { extendSchema } from "postgraphile/utils";
import { decimal, digits, payable, terms, whyNotPay } from "./money.mjs";

const typeDefs = /* GraphQL */ `
  input DateRange {
    gte: Date
    lte: Date
  }
  enum Period {
    MONTH
    QUARTER
    YEAR
  }
  type Money {
    amount: String!
    currency: String!
  }
  type Balance {
    amount: Money!
    payable: Money!
    terms: [BalanceTerm!]!
  }
  type BalanceTerm {
    amount: Money!
    kind: String!
  }
  type Permission {
    isAllowed: Boolean!
    reason: String
  }
  extend type Query {
    client(id: ID): Client
    invoice(id: ID!): Invoice
    practice: Practice!
  }
  extend type Client {
    id: ID!
    balance: Balance!
    canPay: Permission!
    invoices(dateRange: DateRange): InvoiceConnection!
    statements: StatementConnection!
    superbills: SuperbillConnection!
    accountHistory(dateRange: DateRange): AccountHistoryEntryConnection!
    paymentMethods: [PaymentMethod!]!
  }
  extend type Invoice {
    id: ID!
    client: Client!
    isPastDue: Boolean!
    total: Money!
    amountDue: Money!
    payments: [InvoicePayment!]!
  }
  extend type InvoicePayment {
    id: ID!
    amount: Money!
    allocations: [PaymentAllocation!]!
  }
  extend type PaymentAllocation {
    amount: Money!
    invoice: Invoice!
  }
  extend type Statement {
    id: ID!
    endingBalance: Money!
  }
  extend type Superbill {
    id: ID!
    totalFee: Money!
  }
  extend type AccountHistoryEntry {
    id: ID!
    amount: Money!
    balanceAfter: Money!
  }
  extend type PaymentMethod {
    id: ID!
    isExpired: Boolean!
  }
  extend type Practice {
    id: ID!
    invoices(dateRange: DateRange): InvoiceConnection!
    revenue(dateRange: DateRange!, groupBy: Period! = MONTH): [RevenuePeriod!]!
  }
  extend type RevenuePeriod {
    invoiced: Money!
    collected: Money!
    refunded: Money!
    writtenOff: Money!
    outstandingAtEnd: Money!
  }
`;

/** The fields that the contract has and the tables have not. */
export const plans = extendSchema(({ pgResources: resources, sql }) => {
  // -- in sight ------------------------------------------------------------------------------------

  /** Narrowed to what the viewer may see of rows that name a client. */
  function inSight($select) {
    const $clientId = $select.placeholder(viewer("clientId"), TYPES.uuid);
    $select.where(
      sql`(${$clientId} IS NULL OR
        (${$select.alias}.client_id = ${$clientId} AND ${$select.alias}.shared_at IS NOT NULL))`,
    );
    return $select;
  }

  function shared($select) {
    const $isDashboard = $select.placeholder(viewer("isDashboard"), TYPES.boolean);
    $select.where(sql`(${$isDashboard} OR ${$select.alias}.shared_at IS NOT NULL)`);
    return $select;
  }

  function within($select, column, $range) {
    const [gte, lte] = ["gte", "lte"].map((end) =>
      $select.placeholder(get($range, end), TYPES.date),
    );
    const day = sql`${$select.alias}.${sql.identifier(column)}`;
    $select.where(sql`${day} >= coalesce(${gte}, '-infinity')`);
    $select.where(sql`${day} <= coalesce(${lte}, 'infinity')`);
    return $select;
  }

  function newest($select, ...attributes) {
    for (const attribute of attributes) $select.orderBy({ attribute, direction: "DESC" });
    $select.setOrderIsUnique();
    return $select;
  }

  /** Rows of a client, a payment and so on: of the practice, and the one that the column names. */
  function of($row, resource, column, key = "id") {
    return resource.find({ practice_id: $row.get("practice_id"), [column]: $row.get(key) });
  }

  function documents($client, resource) {
    return connection(newest(shared(of($client, resource, "client_id")), "issued_on", "serial"));
  }

  // -- the fields ----------------------------------------------------------------------------------

  const Query = {
    client(_, { $id }) {
      const $clientId = lambda([$id, viewer()], clientAsked);
      return resources.client.get({ practice_id: viewer("practiceId"), id: $clientId });
    },
    invoice(_, { $id }) {
      const $rowId = lambda([$id, viewer()], invoiceAsked);
      const $found = resources.invoice.find({ practice_id: viewer("practiceId"), id: $rowId });
      return inSight($found).single();
    },
    practice: () => resources.practice.get({ id: viewer("practiceId") }),
  };

  const Client = {
    id: apiId("cli"),
    balance: ($client) => $client,
    canPay($client) {
      const sums = ["balance_minor", "pool", "allocated", "disputed", "is_paying"];
      return lambda([viewer(), ...sums.map((sum) => $client.get(sum))], permission, true);
    },
    invoices($client, { $dateRange }) {
      const $invoices = shared(of($client, resources.invoice, "client_id"));
      within($invoices, "issued_on", lambda($dateRange, inOrder));
      return connection(newest($invoices, "issued_on", "serial"));
    },
    statements: ($client) => documents($client, resources.statement),
    superbills: ($client) => documents($client, resources.superbill),
    accountHistory($client, { $dateRange }) {
      const $entries = of($client, resources.account_history_entry, "client_id");
      within($entries, "date", lambda([$dateRange, viewer()], monthUnlessSaid));
      return connection(newest($entries, "date", "id"));
    },
    paymentMethods: ($client) =>
      newest(of($client, resources.payment_method, "client_id"), "is_default", "added_at", "id"),
  };

  const Balance = {
    amount: amount("balance_minor"),
    payable: ($client) =>
      money(lambda(PAYABLE.map((sum) => $client.get(sum)), payableSum, true)),
    terms($client) {
      const sums =
        ["invoiced", "refunded", "taken_back", "pool", "written_off", "adjusted", "allocated"];
      return lambda([viewer(), ...sums.map((sum) => $client.get(sum))], listed, true);
    },
  };

  const Invoice = {
    id: apiId("inv"),
    total: amount("total_minor"),
    amountDue: amount("due_minor"),
    isPastDue($invoice) {
      const columns = ["due_on", "is_void", "due_minor"].map((column) => $invoice.get(column));
      return lambda([viewer(), ...columns], isPastDue, true);
    },
    client: ($invoice) =>
      resources.client.get({
        practice_id: $invoice.get("practice_id"),
        id: $invoice.get("client_id"),
      }),
    payments: ($invoice) =>
      newest(of($invoice, resources.invoice_payment, "invoice_id"), "created_on", "id"),
  };

  const InvoicePayment = {
    id: apiId("pmt"),
    amount: amount("amount_minor"),
    allocations($payment) {
      const $allocations = shared(of($payment, resources.payment_allocation, "payment_id"));
      $allocations.orderBy({ attribute: "serial", direction: "ASC" });
      return $allocations;
    },
  };

  const PaymentAllocation = {
    amount: amount("amount_minor"),
    invoice: ($allocation) =>
      resources.invoice.get({
        practice_id: $allocation.get("practice_id"),
        id: $allocation.get("invoice_id"),
      }),
  };

  const Practice = {
    id: apiId("pra"),
    invoices($practice, { $dateRange }) {
      const $invoices = resources.invoice.find({ practice_id: $practice.get("id") });
      within(inSight($invoices), "issued_on", lambda([$dateRange, viewer()], billedIn));
      return connection(newest($invoices, "issued_on", "serial"));
    },
    revenue(_, { $dateRange, $groupBy }) {
      const $range = lambda([$dateRange, viewer()], whole);
      return resources.revenue.execute([
        { step: viewer("practiceId"), pgCodec: TYPES.uuid },
        { step: get($range, "gte"), pgCodec: TYPES.date },
        { step: get($range, "lte"), pgCodec: TYPES.date },
        { step: lambda($groupBy, (period) => MONTHS[period], true), pgCodec: TYPES.int },
      ]);
    },
  };

  return {
    typeDefs,
    objects: {
      Query: { plans: Query },
      Client: { plans: Client },
      Balance: { plans: Balance },
      Invoice: { plans: Invoice },
      InvoicePayment: { plans: InvoicePayment },
      PaymentAllocation: { plans: PaymentAllocation },
      Statement: { plans: { id: apiId("stm"), endingBalance: amount("ending_minor") } },
      Superbill: { plans: { id: apiId("sbl"), totalFee: amount("fee_minor") } },
      AccountHistoryEntry: {
        plans: {
          id: apiId("aht"),
          amount: amount("amount_minor"),
          balanceAfter: amount("balance_after_minor"),
        },
      },
      PaymentMethod: { plans: { id: apiId("crd"), isExpired } },
      Practice: { plans: Practice },
      RevenuePeriod: {
        plans: {
          invoiced: amount("invoiced_minor"),
          collected: amount("collected_minor"),
          refunded: amount("refunded_minor"),
          writtenOff: amount("written_off_minor"),
          outstandingAtEnd: amount("outstanding_minor"),
        },
      },
    },
  };
});

// -- steps -----------------------------------------------------------------------------------------

// The `true` of a lambda tells Grafast that its function never throws.

/** Who asks, or what is known of them. */
function viewer(name) {
  const $viewer = context().get("viewer");
  return name ? $viewer.get(name) : $viewer;
}

function apiId(kind) {
  return ($row) => lambda($row.get("id"), (id) => `${kind}_${id}`, true);
}

function amount(column) {
  return ($row) => money($row.get(column));
}

function money($minor) {
  return lambda([$minor, viewer()], ([minor, viewer]) => written(Number(minor), viewer), true);
}

function isExpired($card) {
  return lambda(
    [viewer("today"), $card.get("exp_year"), $card.get("exp_month")],
    ([today, year, month]) => `${year}-${String(month).padStart(2, "0")}` < today.slice(0, 7),
    true,
  );
}

// -- what steps work out ---------------------------------------------------------------------------

const MONTHS = { MONTH: 1, QUARTER: 3, YEAR: 12 };
const ID = /^([a-z]{3})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

function written(minor, { places, currency }) {
  return { amount: decimal(minor, places), currency };
}

/** Names and documents are health information, so what is of a client needs both scopes here. */
function needs(viewer, ...scopes) {
  const missing = scopes.find((scope) => !viewer.scopes.includes(scope));
  if (missing) throw new SafeError(`this needs ${missing}`, { code: "FORBIDDEN" });
}

function rowId(id, kind) {
  const [, found, row] = ID.exec(id) ?? [];
  if (found !== kind) throw new SafeError("not an id of this kind", { code: "BAD_ID" });
  return row;
}

/** The row that an id names, if the viewer may see it; without one, the viewer's own. */
function clientAsked([id, viewer]) {
  needs(viewer, "BILLING_READ", "PHI_READ");
  const asked = id == null ? viewer.clientId : rowId(id, "cli");
  if (asked === null) throw new SafeError("say which client", { code: "CLIENT_REQUIRED" });
  return viewer.isDashboard || asked === viewer.clientId ? asked : null;
}

function invoiceAsked([id, viewer]) {
  needs(viewer, "BILLING_READ", "PHI_READ");
  return rowId(id, "inv");
}

const PAYABLE = ["balance_minor", "pool", "allocated", "disputed"];

function payableSum(sums) {
  const [balance, pool, allocated, disputed] = sums.map(Number);
  return payable({ balance, pool }, { allocated, disputed });
}

function permission([viewer, balance, pool, allocated, disputed, isPaying]) {
  const reason = whyNotPay(
    viewer,
    { balance: Number(balance), pool: Number(pool) },
    { allocated: Number(allocated), disputed: Number(disputed), isPaying },
  );
  return { isAllowed: reason === null, reason };
}

function listed([viewer, ...sums]) {
  const [invoiced, refunded, takenBack, pool, writtenOff, adjusted, allocated] = sums.map(Number);
  const kinds = terms({ invoiced, refunded, takenBack, pool, writtenOff, adjusted }, allocated);
  return Object.entries(kinds).map(([kind, minor]) => ({ kind, amount: written(minor, viewer) }));
}

function isPastDue([viewer, dueOn, isVoid, due]) {
  return dueOn !== null && dueOn < viewer.today && !isVoid && Number(due) > 0;
}

function inOrder(range) {
  const { gte = null, lte = null } = range ?? {};
  if (gte && lte && lte < gte) throw new SafeError("gte is after lte", { code: "BAD_RANGE" });
  return { gte, lte };
}

function billedIn([range, viewer]) {
  needs(viewer, "BILLING_READ", "PHI_READ");
  return inOrder(range);
}

function monthUnlessSaid([range, { today }]) {
  if (range) return inOrder(range);
  const day = new Date(today);
  day.setUTCDate(day.getUTCDate() - 30);
  return { gte: day.toISOString().slice(0, 10), lte: null };
}

function whole([range, viewer]) {
  needs(viewer, "AGGREGATES_READ");
  if (!range.gte || !range.lte) throw new SafeError("both ends are needed", { code: "BAD_RANGE" });
  return inOrder(range);
}

/** A viewer with what the plans want to know at once. */
export function seeing(viewer) {
  const isDashboard = viewer.kind === "DASHBOARD";
  return { ...viewer, isDashboard, places: digits(viewer.currency) };
}
