/** Account History: the most recent sessions and payments, of the days that the client chooses. */

import { ask } from "../api.js";
import { button, el, field, link, section } from "../elements.js";
import { day, signed } from "../words.js";
import { growing, receiptLink, row } from "./rows.js";

export function accountHistory(page, connection) {
  const days = el("p", { class: "remark", role: "status" }, `Shown: ${words(page.range)}.`);
  const entries = el("div", {}, list(page, connection));
  const problem = el("p", { class: "error", role: "alert" });

  const choose = async (range) => {
    problem.textContent = "";
    try {
      const found = await ask("history", { client: page.client, range });
      page.range = range;
      days.textContent = `Shown: ${words(range)}.`;
      entries.replaceChildren(...list(page, found.client.accountHistory));
    } catch (error) {
      problem.textContent = error.message;
    }
  };
  return section("Account History", range(page, choose), problem, days, entries);
}

/** The range's form. Nothing chosen is the last 30 days, both ends empty are all. */
function range(page, choose) {
  const submitted = (event) => {
    event.preventDefault();
    const { gte, lte } = Object.fromEntries(new FormData(form));
    choose({ ...(gte && { gte }), ...(lte && { lte }) });
  };
  const recent = () => {
    for (const input of form.querySelectorAll("input")) input.value = "";
    choose(null);
  };
  const form = el(
    "form",
    { class: "range", onsubmit: submitted },
    field("From", { name: "gte", type: "date", value: page.range?.gte }),
    field("To", { name: "lte", type: "date", value: page.range?.lte }),
    el("button", {}, "Show these days"),
    button("Last 30 days", recent),
  );
  return form;
}

function list(page, connection) {
  const next = async (after) => {
    const found = await ask("history", { client: page.client, range: page.range, after });
    return found.client.accountHistory;
  };
  return growing({ connection, what: "entries", made: entry, next, notify: page.notify });
}

function words(range) {
  if (!range) return "the last 30 days";
  const { gte, lte } = range;
  if (gte && lte) return `${day(gte)} to ${day(lte)}`;
  if (gte) return `since ${day(gte)}`;
  return lte ? `until ${day(lte)}` : "all days";
}

function entry({ date, description, serviceDate, status, amount, invoice, payment }) {
  const of = invoice ? [" · ", link(`/invoices/${invoice.id}`, invoice.number)] : [];
  const service = serviceDate && serviceDate !== date ? [` · of ${day(serviceDate)}`] : [];
  const failure = payment?.failure ? [` · ${payment.failure.message}`] : [];
  return row({
    name: description,
    remark: el("span", {}, day(date), ...service, ...of, ...receiptLink(payment?.receipt), ...failure),
    status,
    amount: signed(amount),
  });
}
