/** The card form: cardholder's name, the card by Stripe's Payment Element, billing zip. */

import { el, field } from "./elements.js";
import { stripe } from "./stripe.js";

// The page asks for these two itself, so that they always come with the card.
const FIELDS = { billingDetails: { name: "never", address: { postalCode: "never", country: "auto" } } };
const LOOKS = { theme: "stripe", variables: { colorPrimary: "#0b6b5d" } };

export class CardFields {
  /** `online`: of the practice's `onlinePayments`; `options`: of Stripe's `elements()`. */
  constructor(online, options) {
    this.online = online;
    this.options = options;
    this.card = el("div", { class: "card-element" });
    this.root = el(
      "div",
      { class: "card-fields" },
      field("Cardholder's name", { name: "name", autocomplete: "cc-name", required: true }),
      this.card,
      field("Billing zip", { name: "zip", autocomplete: "billing postal-code", required: true }),
    );
  }

  /** Loads Stripe's form into its place. */
  async mount() {
    this.stripe = await stripe(this.online);
    this.elements = this.stripe.elements({ ...this.options, paymentMethodTypes: ["card"], appearance: LOOKS });
    this.elements.create("payment", { fields: FIELDS }).mount(this.card);
  }

  update(options) {
    Object.assign(this.options, options);
    this.elements?.update(options);
  }

  /** What the page asked for itself, as Stripe takes it. */
  get details() {
    const [name, postal_code] = ["name", "zip"].map((asked) => this.root.querySelector(`[name=${asked}]`).value.trim());
    return { payment_method_data: { billing_details: { name, address: { postal_code } } } };
  }

  /** A confirmation token of the card; throws what Stripe says is wrong with it. */
  async token() {
    await this.submitted();
    const { elements, details } = this;
    const { error, confirmationToken } = await this.stripe.createConfirmationToken({ elements, params: details });
    if (error) throw new Error(error.message);
    return confirmationToken.id;
  }

  /** Confirms what `prepareCard` began; gives Stripe's error, if it has one. */
  async confirm(clientSecret) {
    const { elements, details } = this;
    const confirmParams = { ...details, return_url: location.href };
    const redirect = "if_required";
    const { error } = await this.stripe.confirmSetup({ elements, clientSecret, confirmParams, redirect });
    return error;
  }

  async submitted() {
    if (!this.elements) throw new Error("The card form has not been loaded yet.");
    const { error } = await this.elements.submit();
    if (error) throw new Error(error.message);
  }
}
