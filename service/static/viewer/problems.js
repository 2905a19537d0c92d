// Refusals in plain words, with the code for those who must look it up.

import { el } from "./dom.js";
import { plain, refused } from "./words.js";

export function problemPanel(problem, name, actions = [], heading = "h1") {
  const reasons = problem.quality && merged(problem.quality.issues).map((each) => el("li", {}, each.leads.length > 0 && el("b", {}, `${each.leads.join(", ")}: `), `${plain(each.code)} – ${each.detail}`));
  const words = refused(problem.code);
  const wait = problem.retryAfter ? ` Try again in ${problem.retryAfter} s.` : "";
  return el(
    "section", { class: "card problem", role: "alert" },
    el(heading, {}, problem.title), name && el("p", { class: "file" }, name), el("p", {}, `${words ?? sentence(problem.message)}${wait}`),
    reasons?.length > 0 && el("ul", { class: "plain" }, reasons),
    words && !reasons && el("p", { class: "aside" }, sentence(problem.message)),
    el("p", { class: "aside" }, "Code ", el("code", {}, problem.code), problem.requestId && [" · request ", el("code", {}, problem.requestId)]),
    actions.length > 0 && el("p", { class: "actions" }, actions),
  );
}

/** The same finding in several leads is told once, with all of them. */
export function merged(issues) {
  const found = new Map();
  for (const { code, detail, lead } of issues) {
    const key = `${code} ${detail}`;
    if (!found.has(key)) found.set(key, { code, detail, leads: [] });
    if (lead) found.get(key).leads.push(lead);
  }
  return [...found.values()];
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
