/*
 * Stand-in for Stripe.js: the calls that the portal page makes of it, with Stripe's names, options,
 * results and errors. Its Payment Element takes Stripe's test numbers only. What a bank would ask of
 * a cardholder is asked here, in a dialog.
 *
 * tsc holds it to the types that Stripe publishes, and an option that these don't have is refused.
 * As with the real one, a card's number goes from the form to Stripe, which the sandbox is here.
 */
(() => {
  "use strict";

  /** @typedef {{number: string, cvc: string, expMonth: number, expYear: number}} FormCard */

  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const HERE = new URL("./", script.src);

  // -- what may be asked --------------------------------------------------------------------------

  const STRIPE_OPTIONS = /** @type {const} @satisfies {readonly KeyOf<StripeConstructorOptions>[]} */ (
    ["stripeAccount"]
  );
  const ELEMENTS_OPTIONS = /** @type {const} @satisfies {readonly KeyOf<StripeElementsOptionsMode>[]} */ (
    ["mode", "amount", "currency", "setupFutureUsage", "paymentMethodTypes", "paymentMethodCreation", "appearance"]
  );
  const UPDATE_OPTIONS = /** @type {const} @satisfies {readonly KeyOf<StripeElementsUpdateOptions>[]} */ (
    ["mode", "amount", "currency", "setupFutureUsage", "paymentMethodTypes", "appearance"]
  );
  const PAYMENT_ELEMENT_OPTIONS = /** @type {const} @satisfies {readonly KeyOf<PaymentElementOptions>[]} */ (
    ["fields", "wallets", "terms", "layout"]
  );

  /**
   * Throws the mistake of a program, as Stripe.js does: what it was asked can't be right.
   *
   * @param {string} message
   * @returns {never}
   */
  function refuse(message) {
    const error = new Error(message);
    error.name = "IntegrationError";
    throw error;
  }

  /**
   * @param {string} call
   * @param {object} options
   * @param {readonly string[]} known
   */
  function check(call, options, known) {
    const unknown = Object.keys(options).filter((name) => !known.includes(name));
    if (unknown.length > 0) refuse(`${call}: unknown options: ${unknown.join(", ")}`);
  }

  /** @param {StripeElementsOptionsMode} options What the Elements have then. */
  function checkElements(options) {
    const { mode, currency, setupFutureUsage, paymentMethodTypes } = options;
    if (mode !== "payment" && mode !== "setup") refuse(`elements(): mode is payment or setup, not ${mode}`);
    if (mode === "payment" && !(Number.isInteger(options.amount) && options.amount > 0)) {
      refuse(`elements(): amount is a positive integer, not ${options.amount}`);
    }
    if (!/^[a-z]{3}$/.test(currency ?? "")) refuse(`elements(): currency is as usd, not ${currency}`);
    const usages = ["on_session", "off_session", null, undefined];
    if (!usages.includes(setupFutureUsage)) refuse(`elements(): setupFutureUsage can't be ${setupFutureUsage}`);
    if (String(paymentMethodTypes) !== "card") refuse('elements(): the sandbox takes paymentMethodTypes ["card"]');
  }

  // -- the sandbox --------------------------------------------------------------------------------

  /**
   * Returns what the sandbox answers, or its error as Stripe.js gives it.
   *
   * @param {string} path
   * @param {object} body
   * @returns {Promise<any>}
   */
  async function ask(path, body) {
    try {
      const response = await fetch(new URL(path, HERE), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      const answer = await response.json();
      if (response.ok || answer.error.type) return answer;
      return failed("validation_error", answer.error.message);
    } catch {
      return failed("api_connection_error", "The sandbox is out of reach.");
    }
  }

  /**
   * @param {StripeError["type"]} type
   * @param {string} message
   * @param {Partial<StripeError>} more
   * @returns {{error: StripeError}}
   */
  function failed(type, message, more = {}) {
    return { error: { type, message, ...more } };
  }

  /**
   * @template {keyof HTMLElementTagNameMap} Name
   * @param {Name} name
   * @param {Record<string, string>} attributes
   * @param {(Node | string)[]} children
   * @returns {HTMLElementTagNameMap[Name]}
   */
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

  // Countries of the form's list; the last two have no postal codes.
  const COUNTRIES = { US: "United States", CA: "Canada", GB: "United Kingdom", AE: "United Arab Emirates", HK: "Hong Kong" };

  /** @implements {StandInPaymentElement} */
  class PaymentElement {
    /** @param {PaymentElementOptions} options */
    constructor(options) {
      this.options = options;
      /** @type {Record<string, HTMLInputElement>} */
      this.inputs = {};
      const countries = Object.entries(COUNTRIES).map(([value, name]) => element("option", { value }, name));
      this.country = element("select", { id: `sandbox-country-${crypto.randomUUID()}`, autocomplete: "billing country" }, ...countries);
      /** @type {((event: {elementType: "payment"}) => unknown)[]} */
      this.listeners = [];
      this.root = element("div", { class: "sandbox-card" });
      for (const { name, label, ...more } of FIELDS) {
        const id = `sandbox-${name}-${crypto.randomUUID()}`;
        const input = element("input", { id, inputmode: "numeric", "aria-required": "true", ...more });
        this.inputs[name] = input;
        const field = element("div", { class: `field sandbox-${name}` });
        field.append(element("label", { for: id }, label), input);
        this.root.append(field);
      }
      if (this.isCountryAsked) {
        const label = element("label", { for: this.country.id }, "Country");
        this.root.append(element("div", { class: "field sandbox-country" }, label, this.country));
      }
    }

    /** Whether the form asks for the country of the billing address, as it does unless told not to. */
    get isCountryAsked() {
      const details = this.options.fields?.billingDetails;
      const address = typeof details === "object" ? details.address : details;
      return !(address === "never" || (typeof address === "object" && address.country === "never"));
    }

    /** @param {string | HTMLElement} where */
    mount(where) {
      const parent = typeof where === "string" ? document.querySelector(where) : where;
      if (!parent) return refuse(`mount(): there is no ${where}`);
      parent.replaceChildren(this.root);
      queueMicrotask(() => this.listeners.forEach((listener) => listener({ elementType: "payment" })));
    }

    unmount() {
      this.root.remove();
    }

    destroy() {
      this.unmount();
    }

    /**
     * Takes listeners of `ready`, `loaderror` and `change`; this form is always loaded, and is a card's.
     *
     * @param {string} event
     * @param {(event: any) => unknown} listener
     */
    on(event, listener) {
      if (!["ready", "loaderror", "change"].includes(event)) refuse(`on(): the sandbox tells no ${event}`);
      if (event === "ready") this.listeners.push(listener);
      return this;
    }

    focus() {
      this.inputs.number.focus();
    }

    /**
     * Returns the card that the form was filled in with, or what is incomplete.
     *
     * @returns {{card: FormCard, error?: undefined} | {error: StripeError}}
     */
    read() {
      const [number, expiry, cvc] = FIELDS.map(({ name }) => this.inputs[name].value.trim());
      if (!/^[\d ]{13,23}$/.test(number)) return incomplete("number", "Your card number is incomplete.");
      const date = /^(\d{1,2})\s*\/?\s*(\d{2})$/.exec(expiry);
      if (!date) return incomplete("expiry", "Your card's expiration date is incomplete.");
      if (!/^\d{3,4}$/.test(cvc)) return incomplete("cvc", "Your card's security code is incomplete.");
      return { card: { number, cvc, expMonth: Number(date[1]), expYear: 2000 + Number(date[2]) } };
    }
  }

  /**
   * @param {string} field
   * @param {string} message
   */
  function incomplete(field, message) {
    return failed("validation_error", message, { code: `incomplete_${field}` });
  }

  /** @implements {StandInElements} */
  class Elements {
    /**
     * @param {object} owner The `Stripe` object that made them: another one can't use them.
     * @param {StripeElementsOptionsMode} options
     */
    constructor(owner, options) {
      check("elements()", options, ELEMENTS_OPTIONS);
      checkElements(options);
      this.owner = owner;
      /** @type {StripeElementsOptionsMode} */
      this.options = options;
      this.waiting = 0;
      this.wasSubmitted = false;
      /** @type {PaymentElement | null} */
      this.payment = null;
    }

    /**
     * @param {string} type
     * @param {PaymentElementOptions} options
     */
    create(type, options = {}) {
      if (type !== "payment") refuse(`create(): the sandbox has no ${type} element`);
      if (this.payment) refuse("create(): there is a payment element already");
      check("create()", options, PAYMENT_ELEMENT_OPTIONS);
      this.payment = new PaymentElement(options);
      return this.payment;
    }

    /** @param {string} type */
    getElement(type) {
      return type === "payment" ? this.payment : null;
    }

    /**
     * Applies changes, later: whoever goes on before that is refused.
     *
     * @param {StripeElementsUpdateOptions} changes
     */
    async update(changes) {
      check("update()", changes, UPDATE_OPTIONS);
      const options = /** @type {StripeElementsOptionsMode} */ ({ ...this.options, ...changes });
      checkElements(options);
      this.options = options;
      this.waiting += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
      this.waiting -= 1;
    }

    /** Says whether the form is complete; to be asked before anything else is done with it. */
    async submit() {
      if (!this.payment) return refuse("submit(): there is no element");
      const { error } = this.payment.read();
      this.wasSubmitted = !error;
      return error ? { error: { ...error, message: error.message ?? "" } } : { selectedPaymentMethod: "card" };
    }

    /**
     * Returns what the form was filled in with, and the billing details that the page must add.
     *
     * @param {string} call
     * @param {object} owner
     * @param {any} params
     */
    read(call, owner, params) {
      if (this.owner !== owner) refuse(`${call}: these Elements are of another Stripe object`);
      if (!this.payment || !this.wasSubmitted) return refuse(`${call}: elements.submit() comes first`);
      if (this.waiting > 0) refuse(`${call}: elements.update() has not ended yet`);
      const { name, address } = params?.payment_method_data?.billing_details ?? {};
      const zip = address?.postal_code;
      const billing = this.payment.options.fields?.billingDetails;
      const asked = typeof billing === "object" ? billing : {};
      if (asked.name === "never" && name === undefined) refuse(`${call}: billing_details.name is needed`);
      const isZipAsked = typeof asked.address !== "object" || asked.address.postalCode !== "never";
      if (!isZipAsked && zip === undefined) refuse(`${call}: billing_details.address.postal_code is needed`);
      const form = this.payment.read();
      if (!("card" in form)) return null;
      const { options } = this;
      const charge = options.mode === "payment" ? { amount: options.amount, currency: options.currency } : {};
      const country = this.payment.isCountryAsked ? this.payment.country.value : address?.country;
      return { ...form.card, name, zip, country, setupFutureUsage: options.setupFutureUsage ?? null, ...charge };
    }
  }

  // -- the bank -----------------------------------------------------------------------------------

  /**
   * Asks the cardholder, as a bank does for 3-D Secure; `undefined`: the dialog was closed.
   *
   * @returns {Promise<boolean | undefined>}
   */
  function askCardholder() {
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
      /** @type {boolean | undefined} */
      let succeed;
      yes.addEventListener("click", () => { succeed = true; dialog.close(); });
      no.addEventListener("click", () => { succeed = false; dialog.close(); });
      dialog.addEventListener("close", () => { dialog.remove(); resolve(succeed); });
      document.body.append(dialog);
      dialog.showModal();
    });
  }

  // What Stripe.js says of a failed challenge. Its type is not a card's.
  const UNAUTHENTICATED =
    "We are unable to authenticate your payment method. Please choose a different payment method and try again.";

  /**
   * Goes on with an intent that waits for its cardholder.
   *
   * @param {string} clientSecret
   * @returns {Promise<{intent?: any, error?: StripeError}>}
   */
  async function authenticated(clientSecret) {
    const succeed = await askCardholder();
    if (succeed === undefined) return failed("api_error", "The bank's page was closed.");
    const intent = await ask("next_action", { clientSecret, succeed });
    if (intent.error) return intent;
    if (intent.status !== "requires_payment_method") return { intent };
    const kind = clientSecret.startsWith("seti_") ? "setup_intent" : "payment_intent";
    const code = `${kind}_authentication_failure`;
    return failed("invalid_request_error", UNAUTHENTICATED, { code, [kind]: intent });
  }

  // -- Stripe -------------------------------------------------------------------------------------

  /** @returns {StandIn} */
  function start() {
    /** @type {StandIn} */
    const stripe = {
      elements: (options) => new Elements(stripe, options),

      async createConfirmationToken({ elements, params }) {
        const form = sandboxed(elements).read("createConfirmationToken()", stripe, params);
        const made = await ask("confirmation_tokens", form ?? {});
        return made.error ? made : { confirmationToken: made };
      },

      async handleNextAction(options) {
        if (!("clientSecret" in options)) return refuse("handleNextAction(): clientSecret is needed");
        const { intent, error } = await authenticated(options.clientSecret);
        return error ? { error } : { paymentIntent: intent };
      },

      async confirmSetup({ elements, clientSecret, confirmParams, redirect, ...unknown }) {
        check("confirmSetup()", unknown, []);
        if (redirect !== "if_required") refuse('confirmSetup(): the sandbox has redirect: "if_required" only');
        const own = sandboxed(elements);
        if (own.options.mode !== "setup") refuse("confirmSetup(): these Elements are in payment mode");
        const form = own.read("confirmSetup()", stripe, confirmParams);
        const made = await ask("setup_intents/confirm", { clientSecret, ...form });
        if (made.error) return made;
        if (made.status !== "requires_action") return { setupIntent: made };
        const { intent, error } = await authenticated(clientSecret);
        return error ? { error } : { setupIntent: intent };
      },

      async retrieveSetupIntent(clientSecret) {
        const found = await ask("setup_intents/retrieve", { clientSecret });
        return found.error ? found : { setupIntent: found };
      },
    };

    return stripe;
  }

  /**
   * @param {unknown} elements
   * @returns {Elements}
   */
  function sandboxed(elements) {
    return elements instanceof Elements ? elements : refuse("these are no Elements");
  }

  /** @type {(publishableKey: string, options?: StripeConstructorOptions) => StandIn} */
  const Stripe = (publishableKey, options = {}) => {
    if (!/^pk_(test_|sandbox)/.test(publishableKey)) refuse("Stripe(): the sandbox takes a test key, pk_test_…");
    check("Stripe()", options, STRIPE_OPTIONS);
    return start();
  };
  // The rest of Stripe.js is not here, and the page calls nothing of it.
  window.Stripe = /** @type {any} */ (Stripe);
})();
