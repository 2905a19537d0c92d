// Refusals in plain words, with the code for those who must look it up.

import { el } from "./dom.js";
import { plain } from "./words.js";

export function problemPanel(problem, name, actions = []) {
  const reasons = problem.quality?.issues.map((each) => el("li", {}, each.lead ? el("b", {}, `${each.lead}: `) : null, plain(each.code), " – ", each.detail));
  const wait = problem.retryAfter ? ` Try again in ${problem.retryAfter} s.` : "";
  return el(
    "section", { class: "card problem", role: "alert" },
    el("h2", {}, problem.title), name && el("p", { class: "file" }, name), el("p", {}, `${sentence(problem.message)}${wait}`),
    reasons?.length > 0 && el("ul", { class: "plain" }, reasons),
    el("p", { class: "aside" }, "Code ", el("code", {}, problem.code), problem.requestId && [" · request ", el("code", {}, problem.requestId)]),
    actions.length > 0 && el("p", { class: "actions" }, actions),
  );
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
