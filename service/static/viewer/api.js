// The service's answers, and its refusals as errors with a code.

export class Problem extends Error {
  constructor(document) {
    super(document.detail || document.title || "The service gave no reason.");
    Object.assign(this, { title: document.title || "Something went wrong", status: document.status ?? 0 });
    Object.assign(this, { code: document.code ?? "unknown", requestId: document.request_id, quality: document.quality });
    this.retryAfter = document.retryAfter;
  }
}

// Held while the page is open and nowhere else.
let apiKey = "";
export const useKey = (key) => { apiKey = key.trim(); };
export const hasKey = () => apiKey !== "";

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(apiKey && { "X-API-Key": apiKey }) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "No connection", detail: "The service did not answer. Try again.", code: "no_connection" });
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  const told = await response.json().catch(() => ({ title: response.statusText, code: `http_${response.status}` }));
  return new Problem({ status: response.status, ...told, retryAfter: response.headers.get("Retry-After") });
}

const json = async (path, options) => (await ask(path, options)).json();

/** The files of one recording as form fields: one `file`, or `header` and `signal`. */
function form(files, options) {
  const body = new FormData();
  const header = files.length === 2 && files.find((each) => each.name.toLowerCase().endsWith(".hea"));
  for (const each of files) body.append(!header ? "file" : each === header ? "header" : "signal", each, each.name);
  for (const [name, value] of Object.entries(options)) if (value) body.append(name, value);
  return body;
}

export function predict(files, { map, model, signal } = {}) {
  const body = form(files, { include: "signal,beat", map, model });
  return json("predict", { method: "POST", body, signal });
}

/** The same recording in another representation, as a file. */
export async function report(files, { map, model, type }) {
  const response = await ask("predict", { method: "POST", body: form(files, { map, model }), headers: { Accept: type } });
  return response.blob();
}

export const formats = async () => (await json("formats")).formats;

export async function sample(format) {
  const response = await ask(`samples/${encodeURIComponent(format)}`);
  const name = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1] ?? format;
  return new File([await response.blob()], name, { type: response.headers.get("content-type") ?? "" });
}

export const stored = (id) => json(`predictions/${encodeURIComponent(id)}`);

export const history = (before) => json(`predictions?limit=20${before ? `&before=${before}` : ""}`);

const contracts = new Map();

/** What a model promises: its reference population, bands and tested maps. Null where this caller may not know. */
export function contract(model) {
  const label = `${model.name}-${model.version}`;
  if (!contracts.has(label)) {
    const asked = json(`models/${encodeURIComponent(label)}`).then((each) => each.contract).catch(() => null);
    contracts.set(label, asked);
    asked.then((found) => found ?? contracts.delete(label));
  }
  return contracts.get(label);
}

/** {models} where this caller may ask, else {problem}: the refusal that it meets. */
export const access = () => json("models").then(({ models }) => ({ models }), (problem) => ({ problem }));
