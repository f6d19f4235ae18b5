/** A receipt, open: what was paid, how, and for which invoices. */

import { ask } from "../api.js";
import { el, facts, link, section } from "../elements.js";
import { cardName, methodWord, moment, money } from "../words.js";
import { paper } from "./paper.js";
import { row } from "./rows.js";

export async function receipt(page, id) {
  const { node } = await ask("receipt", { id });
  return paper(page, id, node, "receipt", () => [
    facts([
      ["Paid", moment(node.issuedAt)],
      ["Method", node.payment.card ? cardName(node.payment.card) : methodWord(node.payment.method)],
      ["Amount", money(node.amount)],
    ]),
    node.payment.allocations.length > 0 &&
      section("Paid with it", el("ul", { class: "rows" }, ...node.payment.allocations.map(allocation))),
  ]);
}

function allocation({ amount, invoice }) {
  return row({ name: link(`/invoices/${invoice.id}`, invoice.number), amount: money(amount) });
}
