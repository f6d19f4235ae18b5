/** An invoice, open: what it is for, what is due of it, and Pay Now. */

import { ask } from "../api.js";
import { el, facts, section } from "../elements.js";
import { cardName, day, money } from "../words.js";
import { letterhead, paper, table } from "./paper.js";
import { badge, mark, receiptLink, row } from "./rows.js";

export async function invoice(page, id) {
  const { node } = await ask("invoice", { id });
  const online = node?.client.practice.onlinePayments;
  return paper(page, id, node, "invoice", () => [
    el(
      "p",
      { class: "marks" },
      badge(node.status),
      node.isPastDue && mark("Past due", "past-due"),
      node.isDisputed && mark("Disputed", "past-due"),
    ),
    letterhead(node.provider),
    facts([
      ["Issued", day(node.issuedOn)],
      ["Due", node.dueOn && day(node.dueOn)],
      ["Total", money(node.total)],
      ["Paid", money(node.amountPaid)],
      ["Due now", money(node.amountDue)],
    ]),
    online.isEnabled && payNow(node, id),
    table("Lines", ["Date", "Description", "Code", "Quantity", "Amount"], node.lines.map(line)),
    node.notes && el("p", {}, node.notes),
    node.payments.length > 0 && section("Payments", el("ul", { class: "rows" }, ...node.payments.map(payment))),
  ]);
}

function payNow({ payable, amountDue, isDisputed, client }, id) {
  if (isDisputed) return el("p", { class: "remark" }, "It can't be paid while the bank decides about a payment of it.");
  if (!client.canPay.isAllowed || /^-?[0.]+$/.test(amountDue.amount)) return null;
  const { minimum } = client.practice.onlinePayments;
  if (payable.minorUnits > 0 && payable.minorUnits < minimum.minorUnits) {
    return el("p", { class: "remark" }, "It is too small for a card by itself. Pay it with the whole balance or the next bill.");
  }
  return el("p", {}, el("a", { class: "primary", href: `#/invoices/${id}/pay` }, `Pay Now: ${money(payable)}`));
}

function line({ date, description, serviceCode, quantity, amount }) {
  return [date && day(date), description, serviceCode, quantity, money(amount)];
}

function payment({ createdOn, status, amount, card, receipt }) {
  return row({
    name: card ? cardName(card) : "Payment",
    remark: el("span", {}, day(createdOn), ...receiptLink(receipt)),
    status: status === "SUCCEEDED" ? "PAID" : status,
    amount: money(amount),
  });
}
