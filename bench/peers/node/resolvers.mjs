/** The resolvers that Mercurius and Yoga share; a field that isn't here is a column of its row. */

import { GraphQLScalarType } from "graphql";
import { documents, history } from "./lists.mjs";
import { INVOICE, loaders } from "./loaders.mjs";
import { decimal, digits, invoiceStatus, payable, terms, whyNotPay } from "./money.mjs";
import { periods } from "./revenue.mjs";
import { needs, refusal } from "./viewers.mjs";

/** What the resolvers of one request share. */
export function context(viewer) {
  return { viewer, places: digits(viewer.currency), loaders: loaders(viewer) };
}

function money(minor, { viewer, places }) {
  return { amount: decimal(minor, places), currency: viewer.currency };
}

const amount = (column) => (row, _, context) => money(row[column], context);
const apiId = (kind) => (row) => `${kind}_${row.id}`;

const ID = /^([a-z]{3})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

function taken(id) {
  const [, kind, rowId] = ID.exec(id) ?? [];
  if (!kind) throw refusal("BAD_ID", "not an id");
  return [kind, rowId];
}

const DAY = /^\d{4}-\d\d-\d\d$/;

function day(value) {
  if (typeof value === "string" && DAY.test(value) && !Number.isNaN(Date.parse(value)))
    return value;
  throw refusal("BAD_INPUT", "not a day");
}

const Query = {
  client(_, { id }, { viewer, loaders }) {
    needs(viewer, "BILLING_READ");
    if (id == null && viewer.kind === "DASHBOARD") {
      throw refusal("CLIENT_REQUIRED", "you see several clients: say which, by its id");
    }
    const [kind, rowId] = id == null ? ["cli", viewer.clientId] : taken(id);
    if (kind !== "cli") throw refusal("BAD_ID", "not an id of this kind");
    // The viewer's own row is there, or the token wouldn't be.
    return rowId === viewer.clientId ? { id: rowId } : loaders.clients.load(rowId);
  },
  async node(_, { id }, { viewer, loaders }) {
    needs(viewer, "BILLING_READ");
    const [kind, rowId] = taken(id);
    const kinds = { inv: ["Invoice", loaders.invoices], cli: ["Client", loaders.clients] };
    if (!kinds[kind]) throw refusal("BAD_ID", "not an id");
    const [__typename, loader] = kinds[kind];
    const row = await loader.load(rowId);
    return row && { ...row, __typename };
  },
  practice: (_, __, { viewer }) => ({ id: viewer.practiceId, currency: viewer.currency }),
};

const Client = {
  id: apiId("cli"),
  async name(client, _, { viewer, loaders }) {
    needs(viewer, "PHI_READ");
    return client.name ?? (await loaders.clients.load(client.id)).name;
  },
  balance: (client) => client,
  async canPay({ id }, _, { viewer, loaders }) {
    const [moved, account] = await Promise.all([
      loaders.movements.load(id),
      loaders.accounts.load(id),
    ]);
    const reason = whyNotPay(viewer, moved, account);
    return { isAllowed: reason === null, reason };
  },
  invoices: ({ id }, asked, { viewer }) =>
    documents(viewer, "invoice", INVOICE, asked, { clientId: id }),
  statements({ id }, asked, { viewer }) {
    needs(viewer, "PHI_READ");
    return documents(viewer, "statement", STATEMENT, asked, { clientId: id });
  },
  superbills({ id }, asked, { viewer }) {
    needs(viewer, "PHI_READ");
    return documents(viewer, "superbill", PERIOD, asked, { clientId: id });
  },
  accountHistory({ id }, asked, { viewer }) {
    needs(viewer, "PHI_READ");
    return history(viewer, id, asked);
  },
  paymentMethods: ({ id }, _, { loaders }) => loaders.cards.load(id),
};

const PERIOD = 'd.id, d.number, d.period_start AS "periodStart", d.period_end AS "periodEnd"';
const STATEMENT = `${PERIOD}, d.ending_minor AS "endingMinor"`;

const Balance = {
  async amount({ id }, _, context) {
    return money((await context.loaders.movements.load(id)).balance, context);
  },
  async payable({ id }, _, context) {
    return money(payable(...(await account(id, context))), context);
  },
  async terms({ id }, _, context) {
    const [moved, { allocated }] = await account(id, context);
    const kinds = Object.entries(terms(moved, allocated));
    return kinds.map(([kind, minor]) => ({ kind, amount: money(minor, context) }));
  },
};

function account(id, { loaders }) {
  return Promise.all([loaders.movements.load(id), loaders.accounts.load(id)]);
}

const Connection = {
  nodes: async (list) => (await list.page()).nodes,
  async pageInfo(list) {
    const { nodes, hasNextPage } = await list.page();
    return { hasNextPage, cursor: list.cursor, last: nodes.at(-1) };
  },
};
const CountedConnection = { ...Connection, totalCount: (list) => list.count() };

const PageInfo = {
  endCursor: ({ cursor, last }) => (last ? cursor(last) : null),
};

const Invoice = {
  id: apiId("inv"),
  total: amount("totalMinor"),
  client: ({ clientId }) => ({ id: clientId }),
  async amountDue({ id }, _, context) {
    const { billed, paid } = await context.loaders.standings.load(id);
    return money(billed - paid, context);
  },
  status: async ({ id }, _, { loaders }) => invoiceStatus(await loaders.standings.load(id)),
  async isPastDue({ id, dueOn, isVoid }, _, { viewer, loaders }) {
    if (isVoid || dueOn === null || dueOn >= viewer.today) return false;
    const { billed, paid } = await loaders.standings.load(id);
    return billed > paid;
  },
  payments: ({ id }, _, { loaders }) => loaders.payments.load(id),
};

const Payment = {
  id: apiId("pmt"),
  amount: amount("amountMinor"),
  allocations: ({ id }, _, { loaders }) => loaders.allocations.load(id),
};

const PaymentAllocation = {
  amount: amount("allocatedMinor"),
  invoice: (row) => row,
};

const Statement = { id: apiId("stm"), endingBalance: amount("endingMinor") };

const Superbill = {
  id: apiId("sbl"),
  async totalFee({ id }, _, context) {
    return money((await context.loaders.fees.load(id)).minor, context);
  },
};

const AccountHistoryEntry = {
  id: apiId("aht"),
  amount: amount("amountMinor"),
  async status({ status, kind, invoiceId, paymentId, amountMinor }, _, { loaders }) {
    if (status) return status;
    if (kind === "SESSION" || kind === "CHARGE") {
      const standing = await loaders.standings.load(invoiceId);
      return standing.isVoid ? null : invoiceStatus(standing);
    }
    if (kind !== "PAYMENT") return null;
    const disputed = (await loaders.disputes.load(paymentId)).status;
    if (disputed) return disputed;
    return (await loaders.refunds.load(paymentId)).minor >= -amountMinor ? "REFUNDED" : "PAID";
  },
  async balanceAfter({ list, newer }, _, context) {
    const { balance } = await context.loaders.movements.load(list.clientId);
    return money(balance - (await list.skipped()) - newer, context);
  },
};

const PaymentMethod = {
  id: apiId("crd"),
  isExpired: ({ expYear, expMonth }, _, { viewer }) =>
    `${expYear}-${String(expMonth).padStart(2, "0")}` < viewer.today.slice(0, 7),
};

const Practice = {
  id: apiId("pra"),
  invoices(_, asked, { viewer }) {
    needs(viewer, "BILLING_READ");
    return documents(viewer, "invoice", INVOICE, asked, { most: 500 });
  },
  revenue(_, { dateRange, groupBy }, { viewer }) {
    needs(viewer, "AGGREGATES_READ");
    return periods(viewer, dateRange, groupBy);
  },
};

const flow = (name) => async (period, _, context) => money((await period.flow())[name], context);

const RevenuePeriod = {
  invoiced: flow("invoiced"),
  collected: flow("collected"),
  refunded: flow("refunded"),
  writtenOff: flow("writtenOff"),
  outstandingAtEnd: async (period, _, context) => money(await period.due(), context),
};

export const resolvers = {
  Query,
  Client,
  Balance,
  InvoiceConnection: CountedConnection,
  StatementConnection: CountedConnection,
  SuperbillConnection: CountedConnection,
  AccountHistoryConnection: Connection,
  PageInfo,
  Invoice,
  Payment,
  PaymentAllocation,
  Statement,
  Superbill,
  AccountHistoryEntry,
  PaymentMethod,
  Practice,
  RevenuePeriod,
  Date: new GraphQLScalarType({ name: "Date", parseValue: day }),
};
