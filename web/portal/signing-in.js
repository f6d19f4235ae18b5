/** Signing in by mail: what this browser has asked for, and what it does with a link. */

import { ask, token } from "./api.js";

const KEPT = "sign-in-nonces";
// Of as many requests as there are mails in an hour; the link may be opened in another tab.
const MOST = 4;

/** Asks for a mail; until when its link works. */
export async function requested(email) {
  const { nonce, expiresAt } = (await ask("request-sign-in-link", { input: { email } })).requestSignInLink;
  localStorage.setItem(KEPT, JSON.stringify([nonce, ...nonces()].slice(0, MOST)));
  return expiresAt;
}

/** Signs in with a link's secret, or gives the words why not. */
export async function entered(secret) {
  let result;
  // The newest request may be one of too many, whose mail was not sent.
  for (const nonce of nonces().length > 0 ? nonces() : [""]) {
    result = (await ask("sign-in", { input: { secret, nonce } })).signIn;
    if (result.__typename !== "SignInLinkInvalid") break;
  }
  if (result.__typename !== "SignedIn") return result.message;
  token.forget();
  token.set(result.token);
  return null;
}

/** Ends the sign-in; what to say of it. */
export async function left() {
  try {
    const { signedOut } = (await ask("sign-out")).signOut;
    return signedOut ? "You are signed out." : "You are signed out here. The token itself goes on working.";
  } catch (error) {
    return error.code === "UNAUTHENTICATED" ? "You are signed out." : `You are signed out here. ${error.message}`;
  }
}

function nonces() {
  return JSON.parse(localStorage.getItem(KEPT) ?? "[]");
}
