// Elements from data. Text only ever becomes text, never markup.

export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Colours and widths go through the object model: the page's policy forbids style attributes in markup. */
export function styled(element, rules) {
  for (const [name, value] of Object.entries(rules)) element.style.setProperty(name, value);
  return element;
}

/** One of several, as buttons that act like radio buttons. `options` is [[value, label, title?], ...]. */
export function choice(label, options, value, onchange, { quiet = false } = {}) {
  const name = `choice-${(choice.count = (choice.count ?? 0) + 1)}`;
  const fields = options.map(([each, text, title]) => {
    const input = el("input", { type: "radio", name, value: each, checked: each === value, onchange: () => onchange(each) });
    return el("label", { title }, input, el("span", {}, text));
  });
  return el("fieldset", { class: "choice", "data-quiet": quiet }, el("legend", {}, label), el("div", { class: "segments" }, fields));
}

export function toggle(label, checked, onchange, title) {
  const input = el("input", { type: "checkbox", checked, onchange: () => onchange(input.checked) });
  return el("label", { class: "toggle", title }, input, el("span", { class: "knob", "aria-hidden": "true" }), label);
}
