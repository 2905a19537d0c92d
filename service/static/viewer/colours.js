// Colours of maps: a ramp of blue to yellow that people with any colour vision read the same way, and the paper's inks.

// From the paper's own colour, over which nothing shows, to what stands out most on it.
const ON_LIGHT = [
  [255, 252, 243], [250, 242, 200], [238, 222, 140], [214, 197, 112], [178, 167, 114],
  [138, 134, 120], [104, 107, 115], [70, 81, 112], [28, 58, 112], [0, 32, 77],
];
const ON_DARK = [
  [20, 25, 31], [12, 36, 70], [24, 56, 108], [62, 75, 110], [94, 99, 112],
  [128, 126, 119], [160, 151, 117], [193, 177, 106], [225, 204, 85], [254, 232, 56],
];

/** Much is dark on light paper, bright on dark paper. */
export function ramp(value, dark) {
  const colours = dark ? ON_DARK : ON_LIGHT;
  const place = Math.min(1, Math.max(0, value)) * (colours.length - 1);
  const low = Math.min(colours.length - 2, Math.floor(place));
  return colours[low].map((each, channel) => Math.round(each + (colours[low + 1][channel] - each) * (place - low)));
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
