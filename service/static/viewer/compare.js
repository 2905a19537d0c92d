// Two recordings beside each other: numbers with their difference, median beats laid over each other, both tracings.

import { el } from "./dom.js";
import { heatbar, toolbar } from "./tools.js";
import { Tracing } from "./tracing.js";
import { LEADS, MEASUREMENTS, measured, ordinal, percent, wholePercentile, years } from "./words.js";

/** `pair` is two of the open recordings, [{name, answer}, {name, answer}]. */
export function comparePanel(recordings, pair, choose) {
  const [first, second] = pair;
  const pick = (at) => el(
    "select", { "aria-label": at ? "Second recording" : "First recording", onchange: (event) => choose(at, Number(event.target.value)) },
    recordings.map((each, index) => el("option", { value: index, selected: each === pair[at] }, each.name)),
  );
  const tracings = pair.map((each) => new Tracing(each.answer, { name: each.name }));
  const overlay = first.answer.beat && second.answer.beat && new Tracing(first.answer, { second: second.answer.beat, layout: "beat", weighed: false, name: "Median beats laid over each other" });
  const element = el(
    "div", { class: "stack" },
    el(
      "section", { class: "card", "aria-labelledby": "compare-title" }, el("h1", { id: "compare-title" }, "Two recordings"),
      el("p", { class: "aside" }, "Whether both are of one person is for the reader to know; the files' identities are not read."),
      table(pair, pick),
    ),
    overlay && el(
      "section", { class: "card", "aria-labelledby": "overlay-title" }, el("h2", { id: "overlay-title" }, "Median beats"),
      el("p", { class: "key" }, el("span", { class: "line one" }), first.name, " ", el("span", { class: "line two" }), second.name), overlay.element,
    ),
    el(
      "section", { class: "card", "aria-labelledby": "both-title" }, el("h2", { id: "both-title" }, "Tracings"), toolbar(tracings),
      el("div", { class: "pair" }, tracings.map((each, at) => el("figure", {}, el("figcaption", {}, pair[at].name), each.element))), heatbar(tracings),
    ),
  );
  const all = [...tracings, ...(overlay ? [overlay] : [])];
  return { element, tracings: all, drawn: () => all.forEach((each) => each.refresh()) };
}

function table(pair, pick) {
  const [a, b] = pair.map((each) => each.answer);
  const place = (answer) => { const whole = wholePercentile(answer.risk.percentile); return `${whole}${ordinal(whole)}`; };
  const rows = [
    ["Percentile", place(a), place(b), signed(b.risk.percentile - a.risk.percentile, "points")], ["Band", a.risk.band, b.risk.band, ""],
    ...a.risk.horizons.map((each, at) => {
      const other = b.risk.horizons.find((one) => one.years === each.years) ?? b.risk.horizons[at];
      return [`Risk within ${years(each.years)}`, percent(each.probability), percent(other.probability), signed((other.probability - each.probability) * 100, "points", 1)];
    }),
    ...MEASUREMENTS.map(([name, title, unit]) => {
      const [one, other] = [a.measurements[name], b.measurements[name]];
      return [title, measured(one, unit), measured(other, unit), one === null || other === null ? "–" : signed(other - one, unit)];
    }),
    ...(a.attention && b.attention ? [["Leads that weighed most", most(a), most(b), ""]] : []),
  ];
  return el(
    "table", { class: "compare" }, el("thead", {}, el("tr", {}, el("td"), el("th", { scope: "col" }, pick(0)), el("th", { scope: "col" }, pick(1)), el("th", { scope: "col" }, "Difference"))),
    el("tbody", {}, rows.map(([name, ...values]) => el("tr", {}, el("th", { scope: "row" }, name), values.map((each) => el("td", {}, each))))),
  );
}

const most = (answer) => LEADS.toSorted((x, y) => answer.attention.leads[y] - answer.attention.leads[x]).slice(0, 3).join(", ");

function signed(value, unit, digits = 0) {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? "none" : `${value < 0 ? "−" : "+"}${text}${unit === "°" ? "" : " "}${unit}`;
}
