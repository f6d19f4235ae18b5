/** Billing & Payments: the balance, the documents, the account history and the cards. */

import { ask, isServed } from "../api.js";
import { button, el, facts } from "../elements.js";
import { cancelled, resumed } from "../paying.js";
import { money, reasonWord } from "../words.js";
import { cards } from "./cards.js";
import { documents } from "./documents.js";
import { accountHistory } from "./history.js";
import { ownPayments } from "./own-payments.js";
import { payableLines } from "./payable.js";
import { record } from "./record.js";

const SANDBOX = "/sandbox/";

export async function overview(page) {
  const { client } = await ask("overview", { client: page.client, range: page.range });
  if (!client) throw new Error("You have no access to this client's billing.");
  const online = client.practice.onlinePayments;
  return el(
    "div",
    {},
    el("h1", { tabindex: "-1" }, "Billing & Payments"),
    online.mode === "SANDBOX" && (await sandbox()),
    client.activePayment && underWay(page, client.activePayment),
    balance(client, online),
    el("div", { class: "columns" }, ...documents(page, client)),
    accountHistory(page, client.accountHistory),
    client.accountHistory.nodes.length === 0 && (await ownPayments(page)),
    (online.isEnabled || client.paymentMethods.length > 0) && cards(page, client, online),
    record(page),
  );
}

async function sandbox() {
  const cards = (await isServed(SANDBOX))
    ? el("a", { href: SANDBOX }, "Its test cards, and what each does")
    : "It takes Stripe's test cards, as 4242 4242 4242 4242.";
  return el("p", { class: "panel remark" }, "This is a sandbox: no money moves. ", cards);
}

function balance({ balance, canPay }, online) {
  const due = money(balance.amount);
  return el(
    "section",
    { class: "panel balance", "aria-labelledby": "balance" },
    el("h2", { id: "balance" }, "Current balance"),
    el("p", { class: "figure" }, due),
    online.isEnabled && payNow(canPay, balance.payable),
    el(
      "details",
      {},
      el("summary", {}, "How it adds up"),
      payableLines(balance),
      facts([
        ["Sessions not invoiced yet, outside the balance", money(balance.uninvoiced)],
      ]),
    ),
  );
}

function payNow({ isAllowed, reason }, payable) {
  if (isAllowed) return el("p", {}, el("a", { class: "primary", href: "#/pay" }, `Pay Now: ${money(payable)}`));
  const why = reasonWord(reason);
  return why && el("p", { class: "remark" }, why);
}

/** A payment that a reload or a closed dialog has left: its payer can go on with it or give it up. */
function underWay(page, payment) {
  if (payment.payer !== "VIEWER") return ofAnother(payment);
  const waits = payment.status === "REQUIRES_ACTION";
  const amount = money(payment.amount);
  const act = (how) => async (event) => {
    event.target.disabled = true;
    page.notify("Asking the bank …");
    try {
      const { message } = await how(page.client, payment.id);
      page.show(message);
    } catch (error) {
      page.notify(error.message);
      event.target.disabled = false;
    }
  };
  return el(
    "section",
    { class: "panel attention", "aria-labelledby": "under-way" },
    el("h2", { id: "under-way" }, `A payment of ${amount} is under way`),
    el("p", {}, waits ? "Your bank waits for you to confirm it." : "The bank has not decided yet."),
    el(
      "p",
      { class: "actions" },
      button(waits ? "Confirm it" : "See how it stands", act(resumed), { class: "primary" }),
      waits && button("Cancel this payment", act(cancelled)),
    ),
  );
}

/** A payment of another person, which nobody else can go on with. */
function ofAnother(payment) {
  return el(
    "section",
    { class: "panel attention", "aria-labelledby": "under-way" },
    el("h2", { id: "under-way" }, `A payment of ${money(payment.amount)} is under way`),
    el("p", {}, "Another person is paying. You can pay once that payment has ended."),
  );
}
