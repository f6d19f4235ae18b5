/** Stripe.js, or in the sandbox its stand-in: loaded where a card is asked for. */

const STAND_IN = "/sandbox/stripe.js";
// The stand-in takes any key that isn't a live one.
const STAND_IN_KEY = "pk_test_sandbox";

/** @type {Promise<unknown> | null} */
let loading = null;
/** @type {Map<string, Promise<Stripe>>} */
const instances = new Map();

/**
 * Returns the `Stripe` object of a practice's account: the same one for as long as the page is
 * open, since Elements of one instance are foreign to another.
 *
 * @param {OnlinePayments} online
 * @returns {Promise<Stripe>}
 */
export function stripe(online) {
  const account = `${online.publishableKey} ${online.stripeAccount}`;
  let instance = instances.get(account);
  if (!instance) {
    instance = start(online);
    instances.set(account, instance);
    // What could not be loaded is tried again by the next caller.
    instance.catch(() => instances.delete(account));
  }
  return instance;
}

/** @param {OnlinePayments} online */
async function start({ mode, publishableKey, stripeAccount, stripeJs }) {
  const isSandbox = mode === "SANDBOX";
  const address = isSandbox ? STAND_IN : stripeJs;
  const key = isSandbox ? STAND_IN_KEY : publishableKey;
  if (!address || !key) throw new Error("The practice takes no payments online.");
  loading ??= load(address);
  try {
    await loading;
  } catch (error) {
    loading = null;
    throw error;
  }
  if (!window.Stripe) throw new Error("The card form could not be loaded.");
  return window.Stripe(key, stripeAccount ? { stripeAccount } : {});
}

/** @param {string} src */
function load(src) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = src;
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new Error("The card form could not be loaded.")));
    document.head.append(script);
  });
}
