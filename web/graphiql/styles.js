// Monaco and Radix write style sheets into <style> elements as they go. The policy lets one in
// that carries the nonce, and neither library can be told of it, so that each is made with it.
import { nonce } from "./config.js";

const createElement = document.createElement;

document.createElement = function (name, ...options) {
  const element = createElement.call(this, name, ...options);
  if (element instanceof HTMLStyleElement) element.nonce = nonce;
  return element;
};
