/** How a page pays: one key for each click, sent again until there is an answer, and followed. */

import { ask, Unanswered } from "./api.js";
import { stripe } from "./stripe.js";
import { money, reason } from "./words.js";

// How often a lost answer is asked for, and how often a bank that has not decided.
const TRIES = 6;
const WAITS = 20;
// The mutations, and the files that they are in.
const FILES = { pay: "pay", refreshPayment: "refresh-payment", cancelPayment: "cancel-payment" };

/**
 * Pays, under one key however often it is sent; gives what `outcome` does.
 *
 * @param {string | null} client
 * @param {object} input
 */
export async function paid(client, input) {
  const keyed = { ...input, idempotencyKey: crypto.randomUUID() };
  return followed(client, await sent("pay", keyed));
}

/**
 * Goes on with a payment that a reload or a closed dialog has left.
 *
 * @param {string | null} client
 * @param {string} paymentId
 */
export async function resumed(client, paymentId) {
  return followed(client, await sent("refreshPayment", { paymentId }));
}

/**
 * Gives up a payment that waits for the cardholder.
 *
 * @param {string | null} client
 * @param {string} paymentId
 */
export async function cancelled(client, paymentId) {
  return followed(client, await sent("cancelPayment", { paymentId }));
}

/**
 * Returns the result of a mutation. Where the answer was lost it is sent again, the same.
 *
 * @param {keyof typeof FILES} field
 * @param {object} input
 * @returns {Promise<PayResult>}
 */
async function sent(field, input) {
  for (let tried = 1; ; tried += 1) {
    try {
      return (await ask(FILES[field], { input }))[field];
    } catch (error) {
      if (!(error instanceof Unanswered) || tried === TRIES) throw error;
      await seconds(Math.min(2 ** (tried - 1) / 2, 8));
    }
  }
}

/**
 * Follows a payment to its rest: the bank is asked for, once, and waited for.
 *
 * @param {string | null} client
 * @param {PayResult} result
 */
async function followed(client, result) {
  let wasAsked = false;
  let problem = "";
  for (let waited = 0; waited < WAITS; waited += 1) {
    const paymentId = result.payment?.id;
    if (result.__typename === "PayRequiresAction" && !wasAsked) {
      wasAsked = true;
      problem = await authenticated(client, result.clientSecret ?? "");
    } else if (result.__typename === "PayProcessing") {
      await seconds(result.retryAfterSeconds ?? 1);
    } else {
      break;
    }
    result = await sent("refreshPayment", { paymentId });
  }
  return outcome(result, problem);
}

/**
 * Has Stripe.js ask the cardholder; returns what went wrong there, or nothing. What became of the
 * payment is for the server to say, whether this failed or not.
 *
 * @param {string | null} client
 * @param {string} clientSecret
 */
async function authenticated(client, clientSecret) {
  try {
    const form = await ask("card-form", { client });
    const loaded = await stripe(form.client.practice.onlinePayments);
    const { error } = await loaded.handleNextAction({ clientSecret });
    return error?.message ?? "";
  } catch (error) {
    return reason(error);
  }
}

/** @param {number} count */
function seconds(count) {
  return new Promise((resolve) => setTimeout(resolve, count * 1000));
}

/**
 * Says in words what came of a payment.
 *
 * @param {PayResult} result
 * @param {string} problem What Stripe.js could not do, where the cardholder was asked.
 * @returns {PayOutcome}
 */
function outcome({ __typename, payment, message = "", payable }, problem) {
  switch (__typename) {
    case "PaySucceeded":
      return { isOver: true, message: payment ? paidFor(payment) : "Paid." };
    case "PayCanceled":
      return { isOver: true, message: "The payment was cancelled. Nothing was charged." };
    case "PayRequiresAction":
      return { isOver: true, message: `${problem} Your bank still waits for you to confirm the payment.`.trim() };
    case "PayProcessing":
      return { isOver: true, message: "The bank has not decided yet. Nothing is charged twice: look again later." };
    case "PaymentInProgress":
    case "AnotherPersonPays":
      return { isOver: true, message };
    case "AmountChanged":
      return { isOver: false, message: `${message}${payable ? ` It is ${money(payable)} now.` : ""} Nothing was charged.`, payable };
    default:
      return { isOver: false, message };
  }
}

/** @param {PaidPayment} payment */
function paidFor({ amount, allocations, receipt }) {
  const bills = allocations.map(({ amount, invoice }) => `${invoice.number} ${money(amount)}`);
  const lines = bills.length ? `, for ${bills.join(", ")}` : "";
  return receipt ? `Paid ${money(amount)}. Receipt ${receipt.number}${lines}.` : `Paid ${money(amount)}${lines}.`;
}
