/*
 * The stand-in for Stripe.js: the calls that a page makes of it to pay and to keep a card, with the
 * names and results of the real one. Its Payment Element takes Stripe's test numbers only, and what
 * a bank would ask of a cardholder is asked here, in a dialog.
 *
 * As with the real one, a card's number goes from the form to Stripe, which the sandbox is here.
 */
(() => {
  "use strict";

  const HERE = new URL("./", document.currentScript.src);

  /** What the sandbox answers, or its error as Stripe.js gives it: `{ error: { message, … } }`. */
  async function ask(path, body) {
    let response;
    try {
      response = await fetch(new URL(path, HERE), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
    } catch {
      return failed("api_connection_error", "The sandbox is out of reach.");
    }
    const answer = await response.json();
    if (response.ok || answer.error.type) return answer;
    return failed("validation_error", answer.error.message);
  }

  function failed(type, message) {
    return { error: { type, message } };
  }

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  // -- the Payment Element ------------------------------------------------------------------------

  const FIELDS = [
    { name: "number", label: "Card number", autocomplete: "cc-number", placeholder: "4242 4242 4242 4242" },
    { name: "expiry", label: "Expiration (MM/YY)", autocomplete: "cc-exp", placeholder: "12/31" },
    { name: "cvc", label: "Security code", autocomplete: "cc-csc", placeholder: "123" },
  ];

  class PaymentElement {
    constructor() {
      this.inputs = {};
      this.listeners = [];
      this.root = element("div", { class: "sandbox-card" });
      for (const { name, label, ...more } of FIELDS) {
        const id = `sandbox-${name}-${crypto.randomUUID()}`;
        const input = element("input", { id, inputmode: "numeric", required: "", ...more });
        this.inputs[name] = input;
        const field = element("div", { class: `field sandbox-${name}` });
        field.append(element("label", { for: id }, label), input);
        this.root.append(field);
      }
    }

    mount(where) {
      const parent = typeof where === "string" ? document.querySelector(where) : where;
      parent.replaceChildren(this.root);
      queueMicrotask(() => this.listeners.forEach((listener) => listener({ elementType: "payment" })));
    }

    unmount() {
      this.root.remove();
    }

    destroy() {
      this.unmount();
    }

    /** Only `ready` is ever told. */
    on(event, listener) {
      if (event === "ready") this.listeners.push(listener);
      return this;
    }

    focus() {
      this.inputs.number.focus();
    }

    /** What the form was filled in with; an error of Stripe.js's where it is not complete. */
    read() {
      const [number, expiry, cvc] = FIELDS.map(({ name }) => this.inputs[name].value.trim());
      if (!/^[\d ]{13,23}$/.test(number)) return incomplete("number", "Your card number is incomplete.");
      const date = /^(\d{1,2})\s*\/?\s*(\d{2})$/.exec(expiry);
      if (!date) return incomplete("expiry", "Your card's expiration date is incomplete.");
      if (!/^\d{3,4}$/.test(cvc)) return incomplete("cvc", "Your card's security code is incomplete.");
      return { number, cvc, expMonth: Number(date[1]), expYear: 2000 + Number(date[2]) };
    }
  }

  function incomplete(field, message) {
    return { error: { type: "validation_error", code: `incomplete_${field}`, message } };
  }

  class Elements {
    constructor(options) {
      this.options = options;
      this.payment = null;
    }

    create(type) {
      if (type !== "payment") throw new Error(`The sandbox has no ${type} element.`);
      this.payment = new PaymentElement();
      return this.payment;
    }

    getElement(type) {
      return type === "payment" ? this.payment : null;
    }

    update(options) {
      Object.assign(this.options, options);
    }

    /** Whether the form is complete; to be asked before anything else is done with it. */
    async submit() {
      const { error } = this.payment.read();
      return error ? { error } : { selectedPaymentMethod: "card" };
    }
  }

  /** The form's card with the billing details that the page has asked for itself. */
  function card(elements, params) {
    const details = params?.payment_method_data?.billing_details ?? {};
    const { name, address } = details;
    return { ...elements.payment.read(), name, zip: address?.postal_code };
  }

  // -- the bank -----------------------------------------------------------------------------------

  /** Asks the cardholder, as a bank does for 3-D Secure; `undefined`: the dialog was closed. */
  function authentication() {
    return new Promise((resolve) => {
      const yes = element("button", { type: "button", class: "primary" }, "Complete");
      const no = element("button", { type: "button" }, "Fail");
      const dialog = element(
        "dialog",
        { class: "sandbox-bank", "aria-labelledby": "sandbox-bank-title" },
        element("h2", { id: "sandbox-bank-title" }, "3-D Secure"),
        element("p", {}, "This is the sandbox's bank. Is it you who pays?"),
        element("p", { class: "actions" }, yes, no),
      );
      let succeed;
      yes.addEventListener("click", () => { succeed = true; dialog.close(); });
      no.addEventListener("click", () => { succeed = false; dialog.close(); });
      dialog.addEventListener("close", () => { dialog.remove(); resolve(succeed); });
      document.body.append(dialog);
      dialog.showModal();
    });
  }

  /** Goes on with an intent that waits for its cardholder; `{ intent }` or `{ error }`. */
  async function authenticated(clientSecret) {
    const succeed = await authentication();
    if (succeed === undefined) return failed("card_error", "The bank's page was closed.");
    const intent = await ask("next_action", { clientSecret, succeed });
    if (intent.error) return intent;
    if (intent.status !== "requires_payment_method") return { intent };
    const message = "We are unable to authenticate your payment method.";
    return { error: { type: "card_error", code: "payment_intent_authentication_failure", message } };
  }

  // -- Stripe -------------------------------------------------------------------------------------

  window.Stripe = (publishableKey) => {
    if (String(publishableKey).includes("_live_")) {
      throw new Error("A live key has no business in a sandbox.");
    }
    return {
      elements: (options = {}) => new Elements(options),

      async createConfirmationToken({ elements, params }) {
        const made = await ask("confirmation_tokens", card(elements, params));
        return made.error ? made : { confirmationToken: made };
      },

      async handleNextAction({ clientSecret }) {
        const { intent, error } = await authenticated(clientSecret);
        return error ? { error } : { paymentIntent: intent };
      },

      async confirmSetup({ elements, clientSecret, confirmParams }) {
        const made = await ask("setup_intents/confirm", { clientSecret, ...card(elements, confirmParams) });
        if (made.error) return made;
        if (made.status !== "requires_action") return { setupIntent: made };
        const { intent, error } = await authenticated(clientSecret);
        return error ? { error } : { setupIntent: intent };
      },
    };
  };
})();
