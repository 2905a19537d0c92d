// What this service answered before, from its audit list; only for callers who may read it.

import * as api from "./api.js";
import { el } from "./dom.js";
import { moment } from "./words.js";

/** `open(id)` shows a stored answer. Throws the refusal where this caller may not read the list. */
export async function historyPanel(open) {
  const body = el("tbody");
  const more = el("button", { type: "button", onclick: () => fill() }, "Older");
  let next = null;
  const fill = async () => {
    const page = await api.history(next);
    next = page.next;
    body.append(...page.items.map((row) => line(row, open)));
    more.hidden = next === null;
  };
  await fill();
  const head = ["When", "Format", "Percentile", "Band", "Model", "Caller", "Outcome", ""].map((each) => el("th", { scope: "col" }, each || el("span", { class: "sr" }, "Open")));
  return el(
    "section", { class: "card history", "aria-labelledby": "history-title" }, el("h1", { id: "history-title" }, "History"),
    el("p", { class: "aside" }, "From the audit list: who asked, what was answered. It holds no patient data and no tracing."),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "history-title" }, el("table", { class: "list" }, el("thead", {}, el("tr", {}, head)), body)),
    body.children.length === 0 && el("p", {}, "Nothing was asked yet."), more,
  );
}

function line(row, open) {
  const score = row.score === null ? "" : String(row.score);
  const button = row.answer_id && el("button", { type: "button", class: "small", "aria-label": `Open the answer of ${moment(row.created)}`, onclick: () => open(row.answer_id) }, "Open");
  const cells = [moment(row.created), row.recording_format?.replaceAll("_", " ") ?? "", score, row.band ?? "", row.model ?? "", row.caller, row.code];
  return el("tr", {}, cells.map((each) => el("td", {}, each)), el("td", {}, button));
}
