// One answer as a page: number, tracing, where the model looked, and what it rests on.

import * as api from "./api.js";
import { attentionPanel } from "./attention.js";
import { el } from "./dom.js";
import { banner, factsPanel, measurements, qualityBadge, qualityPanel } from "./facts.js";
import { problemPanel } from "./problems.js";
import { riskPanel } from "./risk.js";
import { heatbar, toolbar } from "./tools.js";
import { Tracing, settings } from "./tracing.js";

/** {element, tracings, drawn()}; `drawn` is called when the element stands in the page. */
export function resultView(recording, { switchKind }) {
  const { answer, contract, name } = recording;
  const usual = answer.recording.source === "median_beat" && answer.beat ? "beat" : settings.layout;
  const tracing = answer.signal && new Tracing(answer, { name, layout: usual });
  const message = el("div", { "aria-live": "polite" });
  const element = el(
    "div", { class: "stack result" },
    banner(answer),
    el("div", { class: "title" }, el("h1", {}, name), qualityBadge(answer.quality), el("div", { class: "actions" }, recording.files && saved(recording, message), el("button", { type: "button", class: "small", onclick: () => print() }, "Print"))),
    message,
    riskPanel(answer, contract),
    el(
      "section", { class: "card trace-card", "aria-labelledby": "trace-title" }, el("h2", { id: "trace-title" }, "Tracing"), measurements(answer),
      tracing ? [toolbar([tracing]), tracing.element, heatbar([tracing])] : el("p", { class: "aside" }, "The tracing is not stored with the answer; open the recording's file to see it."),
    ),
    answer.attention ? attentionPanel(answer, contract, switchKind) : null,
    el("div", { class: "two" }, qualityPanel(answer.quality), factsPanel(answer)),
    el("p", { class: "closing" }, "A number and a picture for those who treat; what follows from them is theirs to decide."),
  );
  return { element, tracings: tracing ? [tracing] : [], drawn: () => tracing?.refresh() };
}

/** The report as the service writes it. */
function saved(recording, message) {
  const kinds = [["PDF report", "application/pdf", "pdf"], ["SVG", "image/svg+xml", "svg"]];
  return kinds.map(([title, type, ending]) => el("button", { type: "button", class: "small", "data-report": ending, onclick: () => save(recording, type, ending, message) }, title));
}

async function save({ files, answer, name }, type, ending, message) {
  message.replaceChildren();
  try {
    const model = `${answer.model.name}-${answer.model.version}`;
    const blob = await api.report(files, { type, model, map: answer.attention?.faithfulness?.kind });
    const url = URL.createObjectURL(blob);
    el("a", { href: url, download: `${name.replace(/\.[^.]+$/, "")}.${ending}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  } catch (error) {
    if (!(error instanceof api.Problem)) throw error;
    message.replaceChildren(problemPanel(error, "", [], "h2"));
  }
}
