"use strict";
// Beside the page, not at the root: a proxy may serve us under a prefix.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  syntaxHighlight: { activated: false },
});

// Beside every file field a choice of sample files, so that each format can be tried without having a file of it.
// Swagger UI makes the field anew when its file changes, so the choice is remembered by the field's name.
const FIELDS = 'input[type="file"]:not([data-sampled])';
const chosenBy = new Map();
const nameOf = (input) => input.closest("tr")?.dataset.propertyName ?? "body";

async function choose(input, sample) {
  chosenBy.set(nameOf(input), sample);
  const response = await fetch(`samples/${sample}`);
  const name = /filename="([^"]+)"/.exec(response.headers.get("content-disposition"))[1];
  const chosen = new DataTransfer();
  chosen.items.add(new File([await response.blob()], name, { type: response.headers.get("content-type") }));
  input.files = chosen.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

function offerSamples(input, formats) {
  input.dataset.sampled = "";
  const menu = document.createElement("select");
  menu.setAttribute("aria-label", "use a sample file");
  menu.add(new Option("use a sample …", ""));
  for (const format of formats.filter((each) => each.sample)) menu.add(new Option(format.title, format.name));
  menu.value = chosenBy.get(nameOf(input)) ?? "";
  menu.addEventListener("change", () => menu.value && choose(input, menu.value));
  input.after(menu);
}

async function watch() {
  const { formats } = await (await fetch("formats")).json();
  const look = () => document.querySelectorAll(FIELDS).forEach((input) => offerSamples(input, formats));
  new MutationObserver(look).observe(document.getElementById("docs"), { childList: true, subtree: true });
  look();
}

watch();
