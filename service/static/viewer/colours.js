// Colours of maps: a ramp of blue to yellow that people with any colour vision read the same way, and the paper's inks.

const RAMP = [
  [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
  [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
];

/** Much stands out against the paper: dark on light paper, bright on dark paper. */
export function ramp(value, dark) {
  const place = Math.min(1, Math.max(0, dark ? value : 1 - value)) * (RAMP.length - 1);
  const low = Math.min(RAMP.length - 2, Math.floor(place));
  return RAMP[low].map((each, channel) => Math.round(each + (RAMP[low + 1][channel] - each) * (place - low)));
}

export const rgb = (colour) => `rgb(${colour.join(" ")})`;

/** Black or white, whichever reads better on the colour (relative luminance of WCAG). */
export function inkOn(colour) {
  const [r, g, b] = colour.map((each) => (each / 255 <= 0.04045 ? each / 255 / 12.92 : ((each / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

const INKS = ["paper-fill", "paper-fine", "paper-strong", "trace", "trace-soft", "accent", "warn", "caliper", "bar-track", "second"];

/** The paper's colours from the style sheet, for the canvas. */
export function inks(element = document.documentElement) {
  const rules = getComputedStyle(element);
  return Object.fromEntries(INKS.map((name) => [name, rules.getPropertyValue(`--${name}`).trim()]));
}

const wanted = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();
const tell = () => listeners.forEach((each) => each());

export const isDark = () => (document.documentElement.dataset.theme ?? (wanted.matches ? "dark" : "light")) === "dark";
export const onTheme = (listener) => { listeners.add(listener); return () => listeners.delete(listener); };
wanted.addEventListener("change", tell);

export function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  tell();
}
