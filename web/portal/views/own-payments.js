/** Your Payments: what somebody has paid who may not see the account history. */

import { ask } from "../api.js";
import { el, section } from "../elements.js";
import { cardName, day, money } from "../words.js";
import { growing, receiptLink, row } from "./rows.js";

/** @returns {Promise<HTMLElement | false>} False if the viewer has paid nothing. */
export async function ownPayments(page) {
  const connection = await read(page, null);
  if (connection.nodes.length === 0) return false;
  const next = (after) => read(page, after);
  return section(
    "Your Payments",
    ...growing({ connection, what: "payments", made: payment, next, notify: page.notify }),
  );
}

/** Reads a page of the client's payments, and keeps the viewer's own. */
async function read(page, after) {
  const { client } = await ask("own-payments", { client: page.client, after });
  const { nodes, pageInfo } = client.payments;
  return { nodes: nodes.filter((one) => one.payer === "VIEWER"), pageInfo };
}

function payment({ createdOn, status, amount, card, failure, receipt }) {
  const problem = failure ? [` · ${failure.message}`] : [];
  return row({
    name: card ? cardName(card) : "Payment",
    remark: el("span", {}, day(createdOn), ...receiptLink(receipt), ...problem),
    status: status === "SUCCEEDED" ? "PAID" : status,
    amount: money(amount),
  });
}
