/** Payment Methods: the cards on file, and which of them is the default. */

import { ask } from "../api.js";
import { button, el, section } from "../elements.js";
import { cardName, expiry } from "../words.js";
import { mark, row } from "./rows.js";

export function cards(page, { paymentMethods, canAddCard }, { canRemoveCards }) {
  const own = paymentMethods.filter((card) => card.holder === "VIEWER");
  const rows = paymentMethods.map((card) => {
    const others = own.filter((other) => other !== card && !other.isExpired);
    return shown(page, card, canAddCard.isAllowed && own.includes(card), canRemoveCards && others);
  });
  return section(
    "Payment Methods",
    rows.length > 0 ? el("ul", { class: "rows" }, ...rows) : el("p", { class: "empty" }, "No card on file."),
    canAddCard.isAllowed && el("p", {}, el("a", { class: "button", href: "#/new-card" }, "+ New Card")),
  );
}

/** `others`: cards that could be the default instead; false where no card can be removed. */
function shown(page, card, mayChange, others) {
  const name = cardName(card);
  const made = row({
    name,
    remark: [holder(card), `expires ${expiry(card)}`].filter(Boolean).join(" · "),
    marks: [
      card.isDefault && mark("Default Card", "paid"),
      card.isShared && card.holder === "VIEWER" && mark("Shared", "unpaid"),
      card.isExpired && mark("Expired", "past-due"),
      card.expiresSoon && !card.isExpired && mark("Expires soon", "partially_paid"),
    ],
  });
  const able = mayChange && [
    !card.isDefault && !card.isExpired && act(page, "make-default", card, "Make default", `${name} is the Default Card now.`),
    card.isShared
      ? act(page, "unshare-card", card, "Stop sharing", `Others can't pay with ${name} any more.`)
      : act(page, "share-card", card, "Share", `Others who pay for this client can pay with ${name} now.`),
    others && act(page, "remove-card", card, "Remove", `${name} is on file no more.`, replacement(card, others)),
  ];
  if (able) made.append(el("div", { class: "actions" }, ...able.filter(Boolean)));
  return made;
}

/** Whose card it is: the viewer's, by the cardholder's name, or another person's. */
function holder(card) {
  if (card.holder === "VIEWER") return card.cardholderName;
  return card.holder === "CLIENT" ? "the client's card, shared" : "another contact's card, shared";
}

function replacement(card, others) {
  return card.isDefault && others.length > 0 ? { replacementId: others[0].id } : {};
}

function act(page, query, card, text, done, more = {}) {
  const clicked = async (event) => {
    event.target.disabled = true;
    try {
      const [result] = Object.values(await ask(query, { input: { paymentMethodId: card.id, ...more } }));
      page.show(result.message ?? done);
    } catch (error) {
      page.notify(error.message);
      event.target.disabled = false;
    }
  };
  return button(text, clicked, { "aria-label": `${text}: ${cardName(card)}` });
}
