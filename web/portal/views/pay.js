/** Pay Now: the balance or one invoice, by a card on file, by another card, or by credit. */

import { stripeAmount } from "../amounts.js";
import { ask } from "../api.js";
import { CardFields } from "../card-fields.js";
import { choice, el, isTicked } from "../elements.js";
import { paid } from "../paying.js";
import { cardName, expiry, money, reason, reasonWord } from "../words.js";
import { invoiceLines, payableLines } from "./payable.js";

/**
 * @typedef {object} Means How it is paid: by a card, or by credit alone.
 * @property {HTMLElement[]} fields
 * @property {() => Promise<object>} source
 * @property {(payable: Payable) => void} update
 * @property {() => Promise<void>} mount
 */

const NEW = "new";

/** @param {Page} page */
export async function payBalance(page) {
  const { client } = await ask("pay-form", { client: page.client });
  const { balance } = client;
  const lines = payableLines(balance);
  return form(page, client, { title: "Pay your balance", payable: balance.payable, back: "#/", lines });
}

/**
 * @param {Page} page
 * @param {string} id
 */
export async function payInvoice(page, id) {
  const { node } = await ask("pay-invoice-form", { id });
  if (!node) throw new Error("There is no such invoice.");
  const title = `Pay invoice ${node.number}`;
  const back = `#/invoices/${id}`;
  const lines = invoiceLines(node);
  return form(page, node.client, { title, payable: node.payable, back, invoiceId: id, lines });
}

/**
 * @param {Page} page
 * @param {any} client
 * @param {{title: string, payable: Payable, back: string, invoiceId?: string, lines: HTMLElement}} bill
 */
function form(page, client, { title, payable, back, invoiceId, lines }) {
  const heading = el("h1", { tabindex: "-1" }, title);
  if (!client.canPay.isAllowed) {
    const why = reasonWord(client.canPay.reason) ?? "The practice takes no payments online.";
    return el("div", { class: "panel" }, heading, el("p", {}, why), el("p", {}, el("a", { href: back }, "Back")));
  }
  const how = payable.minorUnits === 0 ? byCredit() : byCard(client, payable);
  const problem = el("p", { class: "error", role: "alert" });
  const submit = el("button", { class: "primary" });
  const label = () => {
    submit.textContent = payable.minorUnits === 0 ? "Pay by credit" : `Pay ${money(payable)}`;
  };
  label();

  const pay = async () => {
    const { amount, currency } = payable;
    const input = { expectedAmount: { amount, currency }, source: await how.source() };
    return paid(page.client, { ...input, ...(invoiceId ? { invoiceId } : { clientId: client.id }) });
  };
  /** @param {Event} event */
  const submitted = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    submit.disabled = true;
    submit.textContent = "Paying …";
    try {
      const { isOver, message, payable: changed } = await pay();
      if (isOver) return page.go("/", message);
      problem.textContent = message;
      // A new amount is paid by another click, never by this one.
      if (changed) {
        how.update((payable = changed));
        lines.remove();
      }
    } catch (error) {
      problem.textContent = reason(error);
    }
    submit.disabled = false;
    label();
  };

  how.mount().catch((error) => (problem.textContent = reason(error)));
  return el(
    "form",
    { class: "panel", onsubmit: submitted },
    heading,
    lines,
    ...how.fields,
    problem,
    el("p", { class: "actions" }, submit, el("a", { href: back }, "Cancel")),
  );
}

/** @returns {Means} */
function byCredit() {
  return {
    fields: [el("p", {}, "Your unused credit covers this: no card is charged.")],
    source: async () => ({ credit: true }),
    update: () => {},
    mount: async () => {},
  };
}

/**
 * @param {{id: string, cardsToPayWith: Card[], canAddCard: {isAllowed: boolean}, practice: {onlinePayments: OnlinePayments}}} client
 * @param {Payable} payable
 * @returns {Means}
 */
function byCard({ id, cardsToPayWith, canAddCard, practice }, payable) {
  const online = practice.onlinePayments;
  /** @param {Payable} payable What is to be paid, as Stripe's form takes it. */
  const charged = (payable) => ({
    amount: stripeAmount(payable, online.stripeDecimals),
    currency: payable.currency.toLowerCase(),
  });
  const card = new CardFields(online, { mode: "payment", paymentMethodCreation: "manual", ...charged(payable) });
  const save = choice("checkbox", { name: "save", onchange: () => told() }, "Save Card");
  const makeDefault = choice("checkbox", { name: "default" }, "Make default");
  const consent = el("p", { class: "remark" }, online.consentText);
  const another = el("div", { class: "another" }, card.root, canAddCard.isAllowed && [save, consent, makeDefault]);
  const own = cardsToPayWith.filter((card) => card.holder === "VIEWER" && card.client.id === id);
  /** @param {Card} card */
  const isDefault = (card) => card.isDefault && own.includes(card);
  /**
   * The viewer's Default Card for this client comes first, then their other cards, then others'.
   *
   * @param {Card} card
   */
  const rank = (card) => (isDefault(card) ? 0 : own.includes(card) ? 1 : card.holder === "VIEWER" ? 2 : 3);
  const cards = [...cardsToPayWith].sort((one, other) => rank(one) - rank(other));
  const onFiles = cards.map((card) => onFile(card, isDefault(card)));
  const sources = [...onFiles, choice("radio", { name: "source", value: NEW }, "Another card")];
  const whole = el("fieldset", { onchange: () => told() }, el("legend", {}, "Pay with"), ...sources);

  const options = [...whole.querySelectorAll("input")];

  const chosen = () => options.find((option) => option.checked)?.value;
  const told = () => {
    const isNew = chosen() === NEW;
    another.hidden = !isNew;
    for (const input of another.querySelectorAll("input")) input.disabled = input.required && !isNew;
    makeDefault.hidden = own.length === 0 || !isTicked(save);
    card.update({ setupFutureUsage: isTicked(save) ? "on_session" : null });
  };
  const usable = options.find((option) => !option.disabled);
  if (usable) usable.checked = true;
  told();

  return {
    fields: [whole, another],
    mount: () => card.mount(),
    update: (changed) => card.update(charged(changed)),
    source: async () => {
      if (chosen() !== NEW) return { paymentMethodId: chosen() };
      const [saveCard, isNext] = [isTicked(save), isTicked(makeDefault)];
      return { newCard: { confirmationToken: await card.token(), saveCard, makeDefault: saveCard && isNext } };
    },
  };
}

/**
 * @param {Card} card
 * @param {boolean} isDefault
 */
function onFile(card, isDefault) {
  const remarks = [
    isDefault && "Default Card",
    card.holder !== "VIEWER" && "another person's, shared",
    card.isExpired ? "expired" : `expires ${expiry(card)}`,
  ];
  return choice(
    "radio",
    { name: "source", value: card.id, disabled: card.isExpired },
    cardName(card),
    el("span", { class: "remark" }, ` ${remarks.filter(Boolean).join(" · ")}`),
  );
}
