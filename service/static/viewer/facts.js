// Measurements, signal quality, and what the answer says of the recording and the model.

import { el } from "./dom.js";
import { merged } from "./problems.js";
import { LEADS, MEASUREMENTS, measured, moment, plain } from "./words.js";

export function measurements(answer) {
  const cells = MEASUREMENTS.map(([name, title, unit]) => {
    const value = answer.measurements[name];
    const isKnown = value !== null && value !== undefined;
    const shown = isKnown ? [String(Math.round(value)).replace("-", "−"), el("small", {}, unit === "°" ? "°" : ` ${unit}`)] : [el("span", { "aria-hidden": "true" }, "–"), el("span", { class: "sr" }, "not measurable")];
    return el("div", {}, el("dt", {}, title), el("dd", {}, shown));
  });
  return el("dl", { class: "measurements", "aria-label": "Measurements" }, cells);
}

const VERDICTS = { good: "Signal quality good", limited: "Signal quality limited", rejected: "Signal quality too low" };

export function qualityBadge(quality) {
  return el("span", { class: `badge quality-${quality.verdict}` }, el("span", { class: "mark", "aria-hidden": "true" }), VERDICTS[quality.verdict]);
}

export function qualityPanel(quality) {
  const issues = merged(quality.issues).map((each) => el("li", {}, each.leads.length > 0 && el("b", {}, `${each.leads.join(", ")}: `), `${plain(each.code)}. `, el("span", { class: "aside" }, each.detail)));
  const leads = LEADS.map((lead) => {
    const { sqi, issues: codes } = quality.leads[lead] ?? { sqi: 0, issues: [] };
    const text = codes.length ? `left out: ${codes.map(plain).join(", ")}` : `${Math.round(sqi * 100)} %`;
    return el("li", { class: codes.length ? "poor" : sqi < 0.8 ? "fair" : "fine" }, el("b", {}, lead), " ", text);
  });
  return el(
    "section", { class: "card", "aria-labelledby": "quality-title" }, el("h2", { id: "quality-title" }, "Signal quality"),
    el("p", {}, qualityBadge(quality)), issues.length > 0 && el("ul", { class: "plain" }, issues), el("ul", { class: "lead-quality", "aria-label": "Quality of each lead" }, leads),
  );
}

/** What the banner does not say already. */
export const isBannerLine = (warning) => /^This is a \w+ model|SIMULATED/.test(warning);

export function factsPanel(answer) {
  const { recording, model } = answer;
  const rows = [
    ["Answered", moment(answer.created)], ["Format", recording.format.replaceAll("_", " ")],
    ["Recording", `${recording.duration_s.toFixed(1)} s at ${recording.sampling_rate_hz} Hz${recording.source === "median_beat" ? ", median beat only" : ""}`],
    ["Model", `${model.name} ${model.version}, for ${model.intended_use}`], ["Population", model.population],
    ["Model SHA-256", el("code", {}, model.sha256.slice(0, 16), "…")], ["File SHA-256", el("code", {}, recording.sha256.slice(0, 16), "…")], ["Answer", el("code", {}, answer.id)],
  ];
  const notes = answer.warnings.filter((each) => !isBannerLine(each));
  return el(
    "section", { class: "card", "aria-labelledby": "facts-title" }, el("h2", { id: "facts-title" }, "Recording and model"),
    notes.length > 0 && el("ul", { class: "plain notes" }, notes.map((each) => el("li", {}, each))),
    el("dl", { class: "facts" }, rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
  );
}

/** What the model may be used for, wherever it is not a clinical one. */
export function banner(answer) {
  if (answer.model.intended_use === "clinical") return null;
  const said = answer.warnings.filter(isBannerLine).slice(1).join(" ");
  const name = { demonstration: "Demonstration model", research: "Research model" }[answer.model.intended_use];
  return el("div", { class: "banner", role: "note" }, el("b", {}, `${name}. `), `Not for clinical decisions. ${said}`);
}
