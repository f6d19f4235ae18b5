/** The card form: cardholder's name, the card by Stripe's Payment Element, billing zip. */

import { choice, el, field } from "./elements.js";
import { stripe } from "./stripe.js";

/**
 * @param {boolean} isOffered
 * @returns {"auto" | "never"}
 */
const offered = (isOffered) => (isOffered ? "auto" : "never");

/**
 * @param {OnlinePayments["wallets"]} wallets
 * @returns {PaymentElementOptions}
 */
const paymentElement = ({ applePay, googlePay, link }) => ({
  // The page asks for the name and the zip itself, so that they always come with a card.
  fields: { billingDetails: { name: "never", address: { postalCode: "never", country: "auto" } } },
  wallets: { applePay: offered(applePay), googlePay: offered(googlePay), link: offered(link) },
});
/** @type {import("@stripe/stripe-js").Appearance} */
const APPEARANCE = { theme: "stripe", variables: { colorPrimary: "#0b6b5d" } };

export class CardFields {
  /**
   * @param {OnlinePayments} online
   * @param {StripeElementsOptionsMode} options
   */
  constructor(online, options) {
    this.online = online;
    this.options = options;
    /** @type {{stripe: Stripe, elements: StripeElements} | null} */
    this.form = null;
    /** @type {Promise<unknown>} */
    this.updated = Promise.resolve();
    this.card = el("div", { class: "card-element" });
    const name = el(
      "fieldset",
      { class: "plain" },
      field("Cardholder's name", { name: "name", autocomplete: "cc-name", required: true }),
    );
    const zip = el(
      "fieldset",
      { class: "plain" },
      field("Billing zip", { name: "zip", autocomplete: "billing postal-code", required: true }),
      choice("checkbox", { name: "no-zip", onchange: () => this.askForZip() }, "My country has no postal codes"),
    );
    this.own = [name, zip];
    this.root = el("div", { class: "card-fields" }, name, this.card, zip);
  }

  /** Asks for the zip, unless the cardholder's country has none; the server knows which have. */
  askForZip() {
    const zip = this.input("zip");
    zip.disabled = this.input("no-zip").checked;
    zip.required = !zip.disabled;
    if (zip.disabled) zip.value = "";
  }

  /** Loads Stripe's form into its place; throws why that failed. */
  async mount() {
    const loaded = await stripe(this.online);
    const elements = loaded.elements({ ...this.options, paymentMethodTypes: ["card"], appearance: APPEARANCE });
    const element = elements.create("payment", paymentElement(this.online.wallets));
    this.form = { stripe: loaded, elements };
    element.on("change", ({ value }) => this.askForOwn(value.type === "card"));
    await new Promise((resolve, reject) => {
      element.on("ready", resolve);
      element.on("loaderror", ({ error }) => reject(new Error(error.message)));
      element.mount(this.card);
    });
  }

  /**
   * Changes what the form is for. Stripe applies it later; whoever submits waits for that.
   *
   * @param {StripeElementsUpdateOptions} changes
   */
  update(changes) {
    Object.assign(this.options, changes);
    if (this.form) this.updated = Promise.all([this.updated, this.form.elements.update(changes)]);
  }

  /**
   * Asks for the page's own fields, or not: a wallet brings what it knows of its cardholder.
   *
   * @param {boolean} isCard
   */
  askForOwn(isCard) {
    for (const part of this.own) part.disabled = part.hidden = !isCard;
  }

  /** Billing details that the page asked for itself, as Stripe takes them. */
  get details() {
    if (this.own[0].disabled) return {};
    const [name, postal_code] = ["name", "zip"].map((asked) => this.input(asked).value.trim());
    return { payment_method_data: { billing_details: { name, address: { postal_code } } } };
  }

  /**
   * @param {string} name
   * @returns {HTMLInputElement}
   */
  input(name) {
    const found = this.root.querySelector(`input[name=${name}]`);
    if (!(found instanceof HTMLInputElement)) throw new Error(`The card form has no ${name}.`);
    return found;
  }

  /** Returns the id of a confirmation token of the card; throws what Stripe says is wrong with it. */
  async token() {
    const { stripe, elements } = await this.submitted();
    const { error, confirmationToken } = await stripe.createConfirmationToken({ elements, params: this.details });
    if (error) throw new Error(error.message);
    return confirmationToken.id;
  }

  /**
   * Confirms the SetupIntent that `prepareCard` made.
   *
   * `setupIntent` is what Stripe has then, also after an error; without one, nothing is known of it.
   *
   * @param {string} clientSecret
   * @returns {Promise<{error?: StripeError, setupIntent?: SetupIntent}>}
   */
  async confirm(clientSecret) {
    const { stripe, elements } = await this.submitted();
    const confirmParams = { ...this.details, return_url: location.href };
    const result = await stripe.confirmSetup({ elements, clientSecret, confirmParams, redirect: "if_required" });
    const { error } = result;
    if (!error) return result;
    if (error.setup_intent) return { error, setupIntent: error.setup_intent };
    // The answer may have been lost after Stripe confirmed.
    const { setupIntent } = await stripe.retrieveSetupIntent(clientSecret);
    return { error, setupIntent };
  }

  /** Returns Stripe's form once it is up to date and complete; throws what is missing. */
  async submitted() {
    if (!this.form) throw new Error("The card form has not been loaded yet.");
    await this.updated;
    const { error } = await this.form.elements.submit();
    if (error) throw new Error(error.message);
    return this.form;
  }
}
