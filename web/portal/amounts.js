/** Amounts as Stripe.js takes them. */

/**
 * Returns an amount as an integer with so many decimals; throws where that would need rounding.
 *
 * The digits of the text are moved, since a fraction of a float is not exact.
 *
 * @param {Money} money
 * @param {number} decimals How many decimals an amount of the currency has at Stripe.
 */
export function stripeAmount({ amount, currency }, decimals) {
  const [whole, fraction = ""] = amount.split(".");
  const [kept, dropped] = [fraction.slice(0, decimals), fraction.slice(decimals)];
  if (/[^0]/.test(dropped)) throw new Error(`A card can't be charged ${amount} ${currency}.`);
  return Number(whole + kept.padEnd(decimals, "0"));
}
