// The page: what is open, which view is shown, and what happens next.

import * as api from "./api.js";
import { isDark, setTheme } from "./colours.js";
import { comparePanel } from "./compare.js";
import { byId, el } from "./dom.js";
import { dropped, grouped } from "./files.js";
import { historyPanel } from "./history.js";
import { problemPanel } from "./problems.js";
import { resultView } from "./result.js";
import { printed } from "./tracing.js";

// {name, files, answer?, contract?, problem?, state: "waiting" | "running" | "done"}
const recordings = [];
let shown = null;
let tracings = [];
let comparing = [];

const status = (text) => { byId("status").textContent = text; };

const current = (id, is) => (is ? byId(id).setAttribute("aria-current", "page") : byId(id).removeAttribute("aria-current"));

function show(element, made = [], place = "") {
  const focused = document.activeElement;
  const isLost = focused === document.body || byId("start").contains(focused) || byId("view").contains(focused);
  for (const id of ["compare", "history"]) current(id, id === place);
  tracings.forEach((each) => each.forget());
  tracings = made;
  byId("view").replaceChildren(element);
  byId("start").hidden = true;
  byId("view").hidden = false;
  // What had the focus is gone: reading goes on at what took its place.
  if (isLost) byId("main").focus({ preventScroll: true });
}

function goHome() {
  for (const id of ["compare", "history"]) current(id, false);
  shown = null;
  byId("start").hidden = false;
  byId("view").hidden = true;
  listed();
}

/** The open recordings as tabs of the page. */
function listed() {
  const wasThere = byId("recordings").contains(document.activeElement);
  const tabs = recordings.map((each) => el(
    "li", {}, el(
      "button", { type: "button", "aria-current": each === shown ? "true" : false, class: `tab ${each.problem ? "failed" : each.state}`, onclick: () => open(each) },
      el("span", { class: "mark", "aria-hidden": "true" }), each.name, each.problem && el("span", { class: "sr" }, ", refused"),
    ),
  ));
  byId("recordings").replaceChildren(...tabs);
  if (wasThere) byId("recordings").querySelector("[aria-current]")?.focus({ preventScroll: true });
  byId("recordings").hidden = recordings.length === 0;
  byId("compare").hidden = recordings.filter((each) => each.answer).length < 2;
  byId("home").hidden = recordings.length === 0;
}

function open(recording) {
  if (shown !== recording) scrollTo({ top: 0, behavior: "instant" });
  shown = recording;
  listed();
  if (recording.problem) {
    const key = [401].includes(recording.problem.status) && el("button", { type: "button", onclick: askKey }, "Enter an API key");
    show(problemPanel(recording.problem, recording.name, [key, el("button", { type: "button", onclick: () => run(recording) }, "Try again")].filter(Boolean)));
  } else if (!recording.answer) {
    show(el("div", { class: "card progress" }, el("div", { class: "pulse", "aria-hidden": "true" }), el("p", {}, `Reading ${recording.name} …`)));
  } else {
    const view = resultView(recording, { switchKind: recording.files && ((map) => run(recording, map)) });
    show(view.element, view.tracings);
    view.drawn();
  }
}

async function run(recording, map) {
  recording.state = "running";
  delete recording.problem;
  if (!map) delete recording.answer;
  if (shown === recording && !map) open(recording);
  listed();
  status(`Reading ${recording.name}`);
  try {
    recording.answer = await api.predict(recording.files, { map, model: recording.model });
    recording.contract = await api.contract(recording.answer.model);
    status(`${recording.name}: ${Math.round(recording.answer.risk.percentile)} percentile, ${recording.answer.risk.band} band`);
  } catch (error) {
    if (!(error instanceof api.Problem)) throw error;
    recording.problem = error;
    status(`${recording.name}: ${error.title}`);
  }
  recording.state = "done";
  if (shown === recording || shown === null) open(recording);
  else listed();
  // The view was made anew: whoever switched the map by keyboard goes on from there.
  if (map) document.querySelector(".attention .choice input:checked")?.focus({ preventScroll: true });
}

/** One after the other, in the order given; the first is shown as soon as it is there. */
async function take(files) {
  const found = (await grouped(files)).map((each) => ({ ...each, model: byId("model").value, state: "waiting" }));
  if (!found.length) return status("No file was given");
  recordings.push(...found);
  open(found[0]);
  for (const each of found) await run(each);
  return undefined;
}

function compare() {
  const able = recordings.filter((each) => each.answer);
  comparing = comparing.filter((each) => able.includes(each));
  if (comparing.length < 2) comparing = [able.at(-2), able.at(-1)];
  const view = comparePanel(able, comparing, (at, index) => { comparing[at] = able[index]; compare(); });
  shown = undefined;
  listed();
  show(view.element, view.tracings, "compare");
  view.drawn();
}

async function openStored(id) {
  const answer = await api.stored(id);
  const recording = { name: `Stored ${id.slice(-6)}`, answer, contract: await api.contract(answer.model), state: "done" };
  recordings.push(recording);
  open(recording);
}

async function openHistory() {
  shown = undefined;
  listed();
  try {
    show(await historyPanel(openStored), [], "history");
  } catch (error) {
    if (!(error instanceof api.Problem)) throw error;
    // Who may not read the list is not offered it again, until another key is given.
    if ([401, 403].includes(error.status)) byId("history").hidden = true;
    show(problemPanel(error, "", [401, 403].includes(error.status) ? [el("button", { type: "button", onclick: askKey }, "Enter an API key")] : []));
  }
}

function askKey() {
  byId("key-dialog").showModal();
}

async function keyGiven() {
  api.useKey(byId("key").value);
  byId("key").value = "";
  await greet();
  if (shown?.problem?.status === 401) await run(shown);
}

/** Whether this caller may ask at all decides whether a key is asked for. */
async function greet() {
  const { models, problem } = await api.access();
  offerModels(models ?? []);
  byId("key-open").hidden = !problem && !api.hasKey();
  byId("history").hidden = Boolean(problem);
  byId("key-note").hidden = !problem;
}

/** Where the service holds several models, the default comes first. */
function offerModels(models) {
  const kept = byId("model").value;
  const labels = models.toSorted((a, b) => Number(b.default) - Number(a.default)).map((each) => `${each.name}-${each.version}`);
  byId("model").replaceChildren(...labels.map((each) => el("option", { value: each, selected: each === kept }, each)));
  byId("model-choice").hidden = models.length < 2;
}

async function offerSamples() {
  const formats = (await api.formats()).filter((each) => each.sample);
  byId("samples").replaceChildren(...formats.map((each) => el(
    "li", {}, el("button", { type: "button", class: "chip", "data-format": each.name, title: each.title, onclick: async () => take([await api.sample(each.name)]) }, short(each.title)),
  )));
}

const short = (title) => title.replace(/\s*[(,].*$/, "").replace(" with declared sampling rate and unit", "").replace(" with SampledData", "");

function wire() {
  const drop = byId("drop");
  for (const kind of ["dragenter", "dragover"]) addEventListener(kind, (event) => { event.preventDefault(); document.body.classList.add("dragging"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dragging"); });
  addEventListener("drop", async (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    await take(await dropped(event.dataTransfer));
  });
  byId("files").addEventListener("change", async (event) => { await take([...event.target.files]); event.target.value = ""; });
  drop.addEventListener("click", () => byId("files").click());
  for (const [id, act] of [["compare", compare], ["history", openHistory], ["home", goHome], ["key-open", askKey]]) byId(id).addEventListener("click", act);
  byId("theme").addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
  byId("key-cancel").addEventListener("click", () => byId("key-dialog").close("cancel"));
  byId("key-dialog").addEventListener("close", () => byId("key-dialog").returnValue === "use" && keyGiven());
  printed(() => tracings);
}

wire();
offerSamples().catch((error) => status(error.message));
greet();
