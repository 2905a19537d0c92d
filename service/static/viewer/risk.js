// The number first: percentile on the reference distribution, absolute risk by horizon, band, one plain sentence.

import { el, styled, svg } from "./dom.js";
import { frequency, ordinal, percent, wholePercentile, years } from "./words.js";

const BANDS = { low: "Low", moderate: "Moderate", high: "High" };
const [WIDTH, HEIGHT, BASE] = [560, 190, 150];

export function riskPanel(answer, contract) {
  const { risk } = answer;
  const whole = wholePercentile(risk.percentile);
  return el(
    "section", { class: "card risk", "aria-labelledby": "risk-title" },
    el("h2", { id: "risk-title" }, "Predicted risk of heart failure"),
    el(
      "div", { class: "risk-grid" },
      el(
        "div", { class: "headline" },
        el("p", { class: "percentile" }, el("span", { class: "number" }, String(whole)), el("sup", {}, ordinal(whole)), el("span", { class: "unit" }, " percentile")),
        el("p", { class: `band band-${risk.band}` }, el("span", { class: "mark", "aria-hidden": "true" }), `${BANDS[risk.band]} band`),
        el("p", { class: "meaning" }, meaning(risk)),
      ),
      el("figure", { class: "distribution" }, contract ? distribution(risk, contract.output) : ruler(risk), el("figcaption", {}, caption(answer, contract))),
      horizonTable(risk.horizons),
    ),
  );
}

/** What the number says, for a reader who knows nothing of models; no word on what to do. */
function meaning({ horizons, percentile }) {
  const last = horizons.at(-1);
  const { of, count } = frequency(last.probability);
  const [low, high] = last.interval.map(count);
  const lower = frequency(Math.max(0.01, percentile / 100)).count(percentile / 100);
  const about = count(last.probability);
  const shown = low === high ? low : `${low} to ${high}`;
  return (
    `Of ${of} people with a prediction like this, the model expects ${/^\d/.test(about) ? "about " : ""}${about} to develop heart failure within ` +
    `${years(last.years)} (95 % interval ${shown}). Of 100 people of its reference population, ${lower} ${lower.endsWith("than 1") || lower === "1" ? "has" : "have"} a lower predicted risk.`
  );
}

function caption(answer, contract) {
  const of = `Reference population: ${answer.model.population}.`;
  return contract ? `${of} Bands: ${contract.output.bands.source}.` : of;
}

/** Density of the reference population by log-hazard, drawn from its 101 percentiles. */
function distribution(risk, output) {
  const reference = output.reference_log_hazard_percentiles;
  const curve = density(reference.slice(1, 100));
  // The scale reaches somewhat beyond the population, not as far as any outlier may lie.
  const spare = 0.3 * (reference[99] - reference[1]) || 1;
  const from = Math.max(reference[1] - spare, Math.min(reference[1], risk.log_hazard)) - 0.15;
  const to = Math.min(reference[99] + spare, Math.max(reference[99], risk.log_hazard)) + 0.15;
  const at = Math.min(to, Math.max(from, risk.log_hazard));
  const x = (value) => 10 + ((value - from) / (to - from)) * (WIDTH - 20);
  const points = Array.from({ length: 141 }, (_, step) => from + ((to - from) * step) / 140).map((value) => [value, curve(value)]);
  const top = Math.max(...points.map(([, height]) => height));
  const y = (height) => BASE - (height / top) * (BASE - 40);
  const area = (part) => `M${x(part[0][0])} ${BASE}${part.map(([value, height]) => `L${x(value).toFixed(1)} ${y(height).toFixed(1)}`).join("")}L${x(part.at(-1)[0])} ${BASE}Z`;
  const below = [...points.filter(([value]) => value < at), [at, curve(at)]];
  const cuts = [["moderate", output.bands.moderate_from_percentile], ["high", output.bands.high_from_percentile]];
  return framed(
    svg("path", { d: area(points), class: "all" }), svg("path", { d: area(below), class: "lower" }),
    cuts.map(([name, from]) => cut(x(from >= 100 ? to : reference[Math.round(from)]), `${name} from ${from}`, name === "high" ? "right" : "left")),
    marker(x(at), y(curve(at)), risk, at !== risk.log_hazard),
  );
}

function density(values) {
  const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / values.length) || 1;
  // Silverman's rule: 0.9 sd n^(-1/5).
  const width = 0.9 * deviation * values.length ** -0.2;
  return (at) => values.reduce((sum, each) => sum + Math.exp(-0.5 * ((at - each) / width) ** 2), 0);
}

/** Where the reference population is not told: the percentile's place on a plain ruler. */
function ruler(risk) {
  const x = (at) => 10 + (at / 100) * (WIDTH - 20);
  const ticks = [0, 25, 50, 75, 100].map((at) => [svg("line", { x1: x(at), x2: x(at), y1: BASE - 6, y2: BASE, class: "axis" }), svg("text", { x: x(at), y: BASE + 18, class: "tick" }, String(at))]);
  return framed(svg("rect", { x: 10, y: BASE - 14, width: WIDTH - 20, height: 14, class: "all" }), svg("rect", { x: 10, y: BASE - 14, width: x(risk.percentile) - 10, height: 14, class: "lower" }), ticks, marker(x(risk.percentile), BASE - 30, risk));
}

function framed(...parts) {
  return svg(
    "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Where this recording stands on the distribution of the reference population" },
    parts, svg("line", { x1: 10, x2: WIDTH - 10, y1: BASE, y2: BASE, class: "axis" }),
    svg("text", { x: 10, y: HEIGHT - 4, class: "end" }, "lower risk"), svg("text", { x: WIDTH - 10, y: HEIGHT - 4, class: "end right" }, "higher risk"),
  );
}

/** The lower band's name stands left of its line and the higher one's right, so that they never meet. */
function cut(x, text, side) {
  return [svg("line", { x1: x, x2: x, y1: 40, y2: BASE + 5, class: "cut" }), svg("text", { x: x + (side === "right" ? 3 : -3), y: BASE + 18, class: side }, text)];
}

function marker(x, y, risk, isBeyond = false) {
  const whole = wholePercentile(risk.percentile);
  const anchor = x > WIDTH - 70 ? " right" : x < 70 ? " left" : "";
  return [
    svg("line", { x1: x, x2: x, y1: 26, y2: BASE, class: "here" }), svg("circle", { cx: x, cy: y, r: 5, class: "here" }),
    svg("text", { x, y: 17, class: `you${anchor}` }, `this recording, ${whole}${ordinal(whole)}${isBeyond ? ", beyond the scale" : ""}`),
  ];
}

function horizonTable(horizons) {
  const most = Math.max(...horizons.map((each) => each.interval[1]));
  return el(
    "table", { class: "horizons" },
    el("caption", {}, "Absolute risk, with 95 % interval"),
    el("thead", { class: "sr" }, el("tr", {}, ["Within", "Risk", "Interval", "Drawn"].map((each) => el("th", { scope: "col" }, each)))),
    el("tbody", {}, horizons.map((each) => horizonRow(each, most))),
  );
}

function horizonRow({ years: within, probability, interval: [low, high] }, most) {
  const at = (value) => `${(value / most) * 100}%`;
  return el(
    "tr", {}, el("th", { scope: "row" }, years(within)), el("td", { class: "value" }, percent(probability)),
    el("td", { class: "interval" }, percent(low) === percent(high) ? percent(high) : `${percent(low).replace(/\s%$/, "")} – ${percent(high)}`),
    el(
      "td", { class: "drawn", "aria-hidden": "true" },
      el("span", { class: "whisker" }, styled(el("span", { class: "range" }), { left: at(low), width: at(high - low) }), styled(el("span", { class: "here" }), { left: at(probability) })),
    ),
  );
}
