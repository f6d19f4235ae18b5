/** The three sections: invoices, statements and superbills. */

import { ask } from "../api.js";
import { link, section } from "../elements.js";
import { day, money, period } from "../words.js";
import { growing, mark, row } from "./rows.js";

export function documents(page, client) {
  return [
    section("Invoices", ...list(page, "invoices", client.invoices, invoice)),
    section("Statements", ...list(page, "statements", client.statements, statement)),
    section("Superbills", ...list(page, "superbills", client.superbills, superbill)),
  ];
}

function list(page, what, connection, made) {
  const next = async (after) => (await ask(what, { client: page.client, after })).client[what];
  return growing({ connection, what, made, next, notify: page.notify });
}

function invoice({ id, number, issuedOn, status, isPastDue, isDisputed, total, amountDue }) {
  const isPartlyDue = status === "PARTIALLY_PAID";
  return row({
    name: link(`/invoices/${id}`, number),
    remark: isPartlyDue ? `${day(issuedOn)} · ${money(amountDue)} due` : day(issuedOn),
    status,
    marks: [isPastDue && mark("Past due", "past-due"), isDisputed && mark("Disputed", "past-due")],
    amount: money(total),
  });
}

function statement({ id, number, endingBalance, ...dates }) {
  return row({ name: link(`/statements/${id}`, number), remark: period(dates), amount: money(endingBalance) });
}

function superbill({ id, number, totalFee, ...dates }) {
  return row({ name: link(`/superbills/${id}`, number), remark: period(dates), amount: money(totalFee) });
}
