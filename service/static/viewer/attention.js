// Where the model looked: lead weights, the 12 x 12 matrix, the legend of the band, and how far the map may be believed.

import { inkOn, isDark, onTheme, ramp, rgb } from "./colours.js";
import { choice, el, styled } from "./dom.js";
import { KINDS, LEADS, share } from "./words.js";
import { Activation } from "./wave.js";

// Equal shares would be 1/12: a scale up to a quarter at least keeps a map that prefers nothing pale.
const LEAST_FULL = 0.25;
const FLAT = 0.15;

/** `switchKind(kind)` asks for the other map; absent where the recording's file is not at hand. */
export function attentionPanel(answer, contract, switchKind) {
  const { attention } = answer;
  const kind = attention.faithfulness?.kind ?? "attention";
  const kinds = Object.entries(KINDS).map(([each, [title, text]]) => [each, title, text]);
  return el(
    "section", { class: "card attention", "aria-labelledby": "attention-title" },
    el(
      "header", {}, el("h2", { id: "attention-title" }, "What the model weighed"),
      switchKind && choice("Map", kinds, kind, switchKind),
    ),
    el(
      "div", { class: "attention-grid" },
      el("div", { class: "words" }, words(attention, kind, contract)),
      bars(attention.leads),
      matrix(attention.cross_lead),
    ),
  );
}

function words(attention, kind, contract) {
  const [title, text] = KINDS[kind] ?? [kind, ""];
  const sorted = LEADS.toSorted((a, b) => attention.leads[b] - attention.leads[a]);
  const top = sorted.slice(0, 3).map((lead) => `${lead} (${share(attention.leads[lead])})`).join(", ");
  const even = attention.leads[sorted[0]] < 1.3 / 12;
  const [low, high] = new Activation(attention.temporal, 0).range;
  const other = attention.temporal.time_base === "beat" ? "along the beat" : "along the recording";
  return [
    el("p", {}, el("b", {}, `${title}: `), `${text}.`),
    el("p", {}, "Most weight: ", el("b", {}, top), "."),
    even && el("p", { class: "aside" }, "The leads weigh nearly the same; an equal share would be 8.3 %. This map singles out no lead."),
    high - low < FLAT && el("p", { class: "aside" }, `The map is nearly flat ${other}: it singles out no moment.`),
    el("div", { class: "faithful" }, el("h3", {}, "How faithful is this map?"), faithful(attention.faithfulness, contract?.explanation?.faithfulness?.[kind])),
  ];
}

/** What the contract says that the map passed, in words; plainly so where it was never tested. */
function faithful(told, promised) {
  const facts = { ...promised, ...told };
  const { kind: _kind, statement, tested, ...measured } = facts;
  const entries = Object.entries(measured);
  const isMeasured = tested === true || (tested === undefined && entries.length > 0);
  return [
    el("p", {}, isMeasured ? "Measured on this model." : "Not measured on this model: take it as a picture of the network, not as a reason."),
    statement && el("p", { class: "aside" }, `${capital(statement)}.`),
    entries.length > 0 && el("dl", {}, entries.flatMap(([name, value]) => [el("dt", {}, capital(name.replaceAll("_", " "))), el("dd", {}, worded(value))])),
  ];
}

const capital = (text) => `${text[0].toUpperCase()}${text.slice(1)}`.replace(/\.$/, "");
const worded = (value) => (typeof value === "boolean" ? (value ? "passed" : "not passed") : typeof value === "number" ? String(Math.round(value * 1000) / 1000) : String(value));

function bars(weights) {
  const full = Math.max(LEAST_FULL, ...Object.values(weights));
  const rows = LEADS.map((lead) => {
    const bar = styled(el("span", { class: "bar" }), { width: `${(weights[lead] / full) * 100}%` });
    const even = styled(el("span", { class: "even" }), { left: `${100 / 12 / full}%` });
    return el("tr", {}, el("th", { scope: "row" }, lead), el("td", { class: "drawn", "aria-hidden": "true" }, el("span", { class: "track" }, bar, even)), el("td", { class: "value" }, share(weights[lead])));
  });
  return el("table", { class: "weights" }, el("caption", {}, "Weight of each lead"), el("tbody", {}, rows), el("tfoot", {}, el("tr", {}, el("td", { colspan: 3 }, "Thin line: an equal share"))));
}

function matrix(rows) {
  const full = Math.max(LEAST_FULL, ...rows.flat());
  const cells = [];
  const readout = el("output", { class: "aside", "aria-live": "off" }, "A row's lead attends to the columns' leads. Numbers in percent.");
  const table = el(
    "table", { class: "matrix" }, el("caption", {}, "Between leads"),
    el("thead", {}, el("tr", {}, el("td"), LEADS.map((lead) => el("th", { scope: "col" }, lead)))),
    el("tbody", {}, rows.map((row, at) => el("tr", {}, el("th", { scope: "row" }, LEADS[at]), row.map((value, to) => {
      const text = `${LEADS[at]} attends to ${LEADS[to]}: ${share(value)}`;
      const cell = el("td", { onpointerenter: () => { readout.textContent = text; } }, String(Math.round(value * 100)));
      cells.push([cell, value / full]);
      return cell;
    })))),
  );
  const paint = (dark = isDark()) => cells.forEach(([cell, value]) => {
    const colour = ramp(value, dark);
    styled(cell, { "background-color": rgb(colour), color: inkOn(colour) });
  });
  paint();
  whileShown(table, paint);
  return el("div", { class: "matrix-box" }, table, readout);
}

/** The ramp with its ends named. */
export function legend() {
  const steps = Array.from({ length: 20 }, () => el("span"));
  const scale = el("span", { class: "scale", "aria-hidden": "true" }, steps);
  const paint = () => steps.forEach((each, at) => styled(each, { "background-color": rgb(ramp(at / 19, isDark())) }));
  paint();
  whileShown(scale, paint);
  return el("p", { class: "legend" }, "Activation, less ", scale, " more");
}

/** Follows the theme until the element leaves the page. */
function whileShown(element, paint) {
  const forget = onTheme(() => (element.isConnected ? paint() : forget()));
}
