/** Stripe.js, or in the sandbox its stand-in: loaded once, where a card is asked for. */

const REAL = "https://js.stripe.com/clover/stripe.js";
const STAND_IN = "/sandbox/stripe.js";

let loading = null;

/** `online`: `mode`, `publishableKey` and `stripeAccount` of the practice's `onlinePayments`. */
export async function stripe({ mode, publishableKey, stripeAccount }) {
  loading ??= load(mode === "SANDBOX" ? STAND_IN : REAL);
  try {
    await loading;
  } catch (error) {
    loading = null;
    throw error;
  }
  return window.Stripe(publishableKey, stripeAccount ? { stripeAccount } : {});
}

function load(src) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = src;
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new Error("The card form could not be loaded.")));
    document.head.append(script);
  });
}
