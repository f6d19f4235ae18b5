/** How a page pays: one key for each click, sent again until there is an answer, and followed. */

import { ask, Unanswered } from "./api.js";
import { stripe } from "./stripe.js";
import { money } from "./words.js";

// How often a lost answer is asked for, and how often a bank that has not decided.
const TRIES = 6;
const WAITS = 20;
// The mutations, and the files that they are in.
const FILES = { pay: "pay", refreshPayment: "refresh-payment", cancelPayment: "cancel-payment" };

/** Pays, under one key however often it is sent; gives what `outcome` does. */
export async function paid(client, input) {
  const keyed = { ...input, idempotencyKey: crypto.randomUUID() };
  return outcome(await followed(client, await sent("pay", keyed)));
}

/** Goes on with a payment that a reload or a closed dialog has left. */
export async function resumed(client, paymentId) {
  return outcome(await followed(client, await sent("refreshPayment", { paymentId })));
}

/** Gives up a payment that waits for the cardholder. */
export async function cancelled(client, paymentId) {
  return outcome(await followed(client, await sent("cancelPayment", { paymentId })));
}

/** What a mutation came to. Where the answer was lost it is sent again, the same. */
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

/** Follows a payment to its rest: the bank is asked for, once, and waited for. */
async function followed(client, result) {
  let wasAsked = false;
  for (let waited = 0; waited < WAITS; waited += 1) {
    const paymentId = result.payment?.id;
    if (result.__typename === "PayRequiresAction" && !wasAsked) {
      wasAsked = true;
      await (await atStripe(client)).handleNextAction({ clientSecret: result.clientSecret });
    } else if (result.__typename === "PayProcessing") {
      await seconds(result.retryAfterSeconds);
    } else {
      return result;
    }
    result = await sent("refreshPayment", { paymentId });
  }
  return result;
}

async function atStripe(client) {
  const form = await ask("card-form", { client });
  return stripe(form.client.practice.onlinePayments);
}

function seconds(count) {
  return new Promise((resolve) => setTimeout(resolve, count * 1000));
}

/**
 * What it came to, for a person. `isOver`: the form has done its work; else it can be tried again.
 * `payable`: what is payable now, where that isn't what the page showed.
 */
function outcome(result) {
  const { payment, message, payable } = result;
  switch (result.__typename) {
    case "PaySucceeded":
      return { isOver: true, message: `Paid ${money(payment.amount)}. Receipt ${payment.receipt.number}.` };
    case "PayCanceled":
      return { isOver: true, message: "The payment was cancelled. Nothing was charged." };
    case "PayRequiresAction":
      return { isOver: true, message: "Your bank still waits for you to confirm the payment." };
    case "PayProcessing":
      return { isOver: true, message: "The bank has not decided yet. Nothing is charged twice: look again later." };
    case "PaymentInProgress":
      return { isOver: true, message };
    case "AmountChanged":
      return { isOver: false, message: `${message} It is ${money(payable)} now. Nothing was charged.`, payable };
    default:
      return { isOver: false, message };
  }
}
