/** + New Card: a card is kept without paying. */

import { ask } from "../api.js";
import { CardFields } from "../card-fields.js";
import { choice, el, isTicked } from "../elements.js";
import { cardName, reason } from "../words.js";

/** @param {Page} page */
export async function newCard(page) {
  const { client } = await ask("card-form", { client: page.client });
  const heading = el("h1", { tabindex: "-1" }, "New card");
  if (!client.canAddCard.isAllowed) {
    return el("div", { class: "panel" }, heading, el("p", {}, "No card can be added here."));
  }
  const { currency, onlinePayments: online } = client.practice;
  const card = new CardFields(online, {
    mode: "setup",
    currency: currency.toLowerCase(),
    // As the server makes the SetupIntent: Stripe refuses a form that says otherwise.
    setupFutureUsage: "on_session",
  });
  const makeDefault = choice("checkbox", { name: "default" }, "Make default");
  const problem = el("p", { class: "error", role: "alert" });
  const submit = el("button", { class: "primary" }, "Save Card");

  /** @param {Event} event */
  const submitted = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    submit.disabled = true;
    try {
      page.go("/", await kept(page.client, card, isTicked(makeDefault)));
    } catch (error) {
      problem.textContent = reason(error);
      submit.disabled = false;
    }
  };

  card.mount().catch((error) => (problem.textContent = reason(error)));
  return el(
    "form",
    { class: "panel", onsubmit: submitted },
    heading,
    card.root,
    client.defaultPaymentMethod && makeDefault,
    el("p", { class: "remark" }, online.consentText),
    problem,
    el("p", { class: "actions" }, submit, el("a", { href: "#/" }, "Cancel")),
  );
}

/**
 * Prepares, confirms at Stripe and adds: three steps. Returns what to say once the card is on file.
 *
 * @param {string | null} clientId
 * @param {CardFields} card
 * @param {boolean} makeDefault
 */
async function kept(clientId, card, makeDefault) {
  await card.submitted();
  const { prepareCard } = await ask("prepare-card", { input: { clientId } });
  if (prepareCard.__typename !== "CardPrepared") throw new Error(prepareCard.message);
  const { clientSecret, setupIntentId } = prepareCard;
  const { error, setupIntent } = await card.confirm(clientSecret);
  if (error && !isDecided(setupIntent)) throw new Error(error.message);
  const { addCard } = await ask("add-card", { input: { clientId, setupIntentId, makeDefault } });
  if (addCard.__typename !== "CardAdded") throw new Error(addCard.message);
  const name = cardName(addCard.paymentMethod);
  return addCard.wasAlreadyKept ? `${name} was on file before, and is up to date now.` : `${name} is on file.`;
}

/**
 * Returns whether the bank has answered: then the server must know, which counts the attempts.
 * Stripe's error alone doesn't tell: a decline is a `card_error`, a failed 3-D Secure an
 * `invalid_request_error` as a wrong parameter is.
 *
 * @param {SetupIntent | undefined} setupIntent
 */
function isDecided(setupIntent) {
  if (!setupIntent || setupIntent.status === "requires_action") return false;
  return setupIntent.status !== "requires_payment_method" || setupIntent.last_setup_error !== null;
}
