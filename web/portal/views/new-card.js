/** + New Card: a card is kept without paying. */

import { ask } from "../api.js";
import { CardFields } from "../card-fields.js";
import { choice, el } from "../elements.js";
import { cardName } from "../words.js";

export async function newCard(page) {
  const { client } = await ask("card-form", { client: page.client });
  const heading = el("h1", { tabindex: "-1" }, "New card");
  if (!client.canAddCard.isAllowed) {
    return el("div", { class: "panel" }, heading, el("p", {}, "No card can be added here."));
  }
  const { currency, onlinePayments: online } = client.practice;
  const card = new CardFields(online, { mode: "setup", currency: currency.toLowerCase() });
  const makeDefault = choice("checkbox", { name: "default" }, "Make default");
  const problem = el("p", { class: "error", role: "alert" });
  const submit = el("button", { class: "primary" }, "Save Card");

  const submitted = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    submit.disabled = true;
    try {
      page.go("/", await kept(page.client, card, makeDefault.querySelector("input").checked));
    } catch (error) {
      problem.textContent = error.message;
      submit.disabled = false;
    }
  };

  card.mount().catch((error) => (problem.textContent = error.message));
  return el(
    "form",
    { class: "panel", onsubmit: submitted },
    heading,
    card.root,
    client.paymentMethods.length > 0 && makeDefault,
    el("p", { class: "remark" }, online.consentText),
    problem,
    el("p", { class: "actions" }, submit, el("a", { href: "#/" }, "Cancel")),
  );
}

/** Prepares, confirms at Stripe and adds: three steps; what to say once the card is on file. */
async function kept(clientId, card, makeDefault) {
  await card.submitted();
  const { prepareCard } = await ask("prepare-card", { input: { clientId } });
  if (prepareCard.__typename !== "CardPrepared") throw new Error(prepareCard.message);
  const { clientSecret, setupIntentId } = prepareCard;
  const error = await card.confirm(clientSecret);
  // What Stripe refused before a bank was asked leaves nothing behind; a decline is told on.
  if (error && error.type !== "card_error") throw new Error(error.message);
  const { addCard } = await ask("add-card", { input: { clientId, setupIntentId, makeDefault } });
  if (addCard.__typename !== "CardAdded") throw new Error(addCard.message);
  const name = cardName(addCard.paymentMethod);
  return addCard.wasAlreadyKept ? `${name} was on file before, and is up to date now.` : `${name} is on file.`;
}
