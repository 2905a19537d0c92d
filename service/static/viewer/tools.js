// The tools above and below a tracing; what is chosen holds for the next recording too.

import { legend } from "./attention.js";
import { choice, el, toggle } from "./dom.js";
import { LAYOUTS, WINDOW_S } from "./layout.js";
import { settings } from "./tracing.js";

/** The tools of one or more tracings at once. */
export function toolbar(tracings, { layouts = Object.keys(LAYOUTS) } = {}) {
  const [first] = tracings;
  const all = (options) => { Object.assign(settings, options); tracings.forEach((each) => each.set(options)); };
  const offered = layouts.filter((each) => (each === "beat" ? first.waves.beat : first.waves.rhythm));
  const pairs = (values, unit) => values.map((each) => [String(each), String(each), `${each} ${unit}`]);
  const number = (name) => (value) => all({ [name]: Number(value) });
  return el(
    "div", { class: "tools", role: "group", "aria-label": "Tracing" },
    choice("Layout", offered.map((each) => [each, LAYOUTS[each].title]), first.options.layout, (layout) => all({ layout }), { quiet: true }),
    choice("mm/s", pairs([25, 50], "mm/s"), String(first.options.mmPerS), number("mmPerS")),
    choice("mm/mV", pairs([5, 10, 20], "mm/mV"), String(first.options.mmPerMv), number("mmPerMv")),
    zoomTools(tracings), caliperTools(tracings), first.isLong && timeTools(tracings),
  );
}

/** The activation band: shown or not, how strongly, and what its colours mean. */
export function heatbar(tracings) {
  const [first] = tracings;
  if (!first.activation) return null;
  const all = (options) => { Object.assign(settings, options); tracings.forEach((each) => each.set(options)); };
  const slider = el("input", { type: "range", min: "0.1", max: "1", step: "0.05", value: first.options.opacity });
  slider.addEventListener("input", () => all({ opacity: Number(slider.value) }));
  return el(
    "div", { class: "tools heat", role: "group", "aria-label": "Activation" },
    toggle("Activation", first.options.activation, (activation) => all({ activation }), "The colour band under each trace"),
    el("label", { class: "group soft" }, "Opacity", slider), legend(),
  );
}

function zoomTools(tracings) {
  const [first] = tracings;
  const text = el("output", { class: "zoom", "aria-label": "Zoom" });
  const told = () => { text.textContent = `${Math.round(first.viewport.zoom * 100)} %`; };
  first.viewport.onzoom = told;
  new ResizeObserver(told).observe(first.canvas);
  const button = (label, title, act) => el("button", { type: "button", class: "small", "aria-label": title, title, onclick: () => tracings.forEach(act) }, label);
  const by = (factor) => (each) => each.viewport.zoomTo(each.viewport.zoom * factor);
  return el(
    "div", { class: "group" }, button("−", "Zoom out", by(0.8)), text, button("+", "Zoom in", by(1.25)),
    button("1:1", "True size: 25.0 mm a second", (each) => each.viewport.zoomTo(1, 0, 0)), button("Fit", "Fit the width", (each) => each.viewport.fit()),
  );
}

function caliperTools(tracings) {
  const march = toggle("March out", false, (isOn) => tracings.forEach((each) => { each.calipers.marches = isOn; each.viewport.request(); }), "Repeat the interval along the lead");
  march.hidden = true;
  const calipers = toggle("Calipers", false, (isOn) => tracings.forEach((each) => each.setCalipers(isOn)), "C");
  for (const each of tracings) {
    each.oncalipers = (isOn) => {
      calipers.querySelector("input").checked = isOn;
      march.hidden = !isOn;
    };
  }
  return el("div", { class: "group" }, calipers, march);
}

function timeTools(tracings) {
  const text = el("output", {}, `0–${WINDOW_S} s`);
  const turn = (steps) => () => {
    const from = Math.max(...tracings.map((each) => each.turn(steps))) / 1000;
    text.textContent = `${from.toFixed(0)}–${(from + WINDOW_S).toFixed(0)} s`;
  };
  const button = (label, title, steps) => el("button", { type: "button", class: "small", "aria-label": title, title, onclick: turn(steps) }, label);
  return el("div", { class: "group" }, button("‹", "Earlier", -1), text, button("›", "Later", 1));
}
