/** Signing in by mail: the requests of this browser, and what it does with a link or a code. */

import { ask, token } from "./api.js";

const KEPT = "sign-in-nonces";
// The link may be opened in another tab, and be the one of an earlier request.
const MOST = 8;

/** Asks for a mail, and returns what the server says of it: `nonce`, `expiresAt`, `nextMailAt`. */
export async function requested(email) {
  const request = (await ask("request-sign-in-link", { input: { email } })).requestSignInLink;
  localStorage.setItem(KEPT, JSON.stringify([request.nonce, ...nonces()].slice(0, MOST)));
  return request;
}

/** Signs in with the code of the mail that was asked for with this nonce, or returns why not. */
export async function typed(code, nonce) {
  return kept((await ask("sign-in-with-code", { input: { code, nonce } })).signInWithCode);
}

/** Signs in with a link's secret, or gives the words why not. */
export async function entered(secret) {
  let result;
  // The link is of an address, and the newest request may be for another one.
  for (const nonce of nonces().length > 0 ? nonces() : [""]) {
    result = (await ask("sign-in", { input: { secret, nonce } })).signIn;
    if (result.__typename !== "SignInLinkInvalid") break;
  }
  return kept(result);
}

/** Keeps the token of a sign-in, or returns the words why there is none. */
function kept(result) {
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
