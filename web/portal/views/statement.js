/** A statement, open: what happened to the account in a period, as it was printed. */

import { ask } from "../api.js";
import { facts } from "../elements.js";
import { day, money, period } from "../words.js";
import { letterhead, paper, table } from "./paper.js";

const HEADS = ["Date", "Description", "Invoice", "Invoiced", "Paid", "Balance"];

export async function statement(page, id) {
  const { node } = await ask("statement", { id });
  return paper(page, id, node, "statement", () => [
    letterhead(node.provider),
    facts([
      ["Issued", day(node.issuedOn)],
      ["Period", period(node)],
      ["Beginning balance", money(node.beginningBalance)],
      ["Invoiced", money(node.totalInvoiced)],
      ["Paid", money(node.totalPaid)],
      ["Ending balance", money(node.endingBalance)],
    ]),
    table("Timeline", HEADS, node.lines.map(line), 3),
  ]);
}

function line({ date, description, invoiceNumber, invoiced, paid, balanceAfter }) {
  return [day(date), description, invoiceNumber, money(invoiced), money(paid), money(balanceAfter)];
}
