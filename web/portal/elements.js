/** Elements of the page. Whatever comes from the server goes in as text, never as markup. */

/**
 * Makes an element: `el("button", { class: "primary", onclick: pay }, "Pay Now")`.
 * Attributes that are null, undefined or false are left out; children that are so, too.
 */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child || child === 0));
  return made;
}

export function link(address, ...children) {
  return el("a", { href: `#${address}` }, ...children);
}

export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}

let count = 0;

/** An input with its label, and a remark below it where there is one. */
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

/** A box or a circle to tick, before its label. */
export function choice(type, attributes, ...label) {
  return el("label", { class: "choice" }, el("input", { type, ...attributes }), el("span", {}, ...label));
}

/** A section with its heading, which names it for those who can't see. */
export function section(title, ...children) {
  const id = `section-${(count += 1)}`;
  return el("section", { "aria-labelledby": id }, el("h2", { id }, title), ...children);
}

/** A name and what it is, one after the other. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", {}, ...shown.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}
