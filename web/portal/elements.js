/** Elements of the page. Whatever comes from the server goes in as text, never as markup. */

/**
 * Makes an element: `el("button", { class: "primary", onclick: pay }, "Pay Now")`.
 * Attributes that are null, undefined or false are left out; children that are so, too.
 *
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, any>} attributes
 * @param {(Child | Child[])[]} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child || child === 0) made.append(typeof child === "number" ? String(child) : child);
  }
  return made;
}

/**
 * @param {string} address
 * @param {Child[]} children
 */
export function link(address, ...children) {
  return el("a", { href: `#${address}` }, ...children);
}

/**
 * @param {string} text
 * @param {(event: Event) => unknown} onclick
 * @param {Record<string, any>} attributes
 */
export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}

let count = 0;

/**
 * An input with its label, and a remark below it where there is one.
 *
 * @param {string} label
 * @param {Record<string, any>} attributes
 * @param {Child} [remark]
 */
export function field(label, attributes, remark) {
  const id = `field-${(count += 1)}`;
  const remarkId = remark && `${id}-remark`;
  return el(
    "div",
    { class: "field" },
    el("label", { for: id }, label),
    el("input", { id, "aria-describedby": remarkId, ...attributes }),
    remark && el("p", { id: remarkId, class: "remark" }, remark),
  );
}

/**
 * A box or a circle to tick, before its label.
 *
 * @param {"checkbox" | "radio"} type
 * @param {Record<string, any>} attributes
 * @param {Child[]} label
 */
export function choice(type, attributes, ...label) {
  return el("label", { class: "choice" }, el("input", { type, ...attributes }), el("span", {}, ...label));
}

/**
 * Returns whether the box of a `choice` is ticked.
 *
 * @param {HTMLElement} made
 */
export function isTicked(made) {
  return made.querySelector("input")?.checked ?? false;
}

/**
 * A section with its heading, which names it for those who can't see.
 *
 * @param {string} title
 * @param {Child[]} children
 */
export function section(title, ...children) {
  const id = `section-${(count += 1)}`;
  return el("section", { "aria-labelledby": id }, el("h2", { id }, title), ...children);
}

/**
 * A name and what it is, one after the other.
 *
 * @param {[string, Child][]} pairs
 */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", {}, ...shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}
