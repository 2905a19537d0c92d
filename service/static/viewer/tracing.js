// The tracing: canvas, read-out, keys. One for a result, two beside each other in a comparison.

import { Calipers, signed } from "./calipers.js";
import { inks, isDark, onTheme, setTheme } from "./colours.js";
import { el } from "./dom.js";
import { WINDOW_S, arrange, msAt, stripAt, xOf, yOf } from "./layout.js";
import { bandTop, Paper } from "./paper.js";
import { Viewport } from "./viewport.js";
import { Activation, Wave } from "./wave.js";

export const settings = { layout: "3x4", mmPerS: 25, mmPerMv: 10, activation: true, opacity: 0.85 };
const READ_STEP_MS = 10;
const KEYS =
  "With the tracing focused: arrow keys read along a lead and change the lead, Shift and arrow keys pan, plus and minus zoom, " +
  "0 fits the width, C turns the calipers on, Enter sets their corners at the point that is read, Escape removes them.";

export class Tracing {
  constructor(answer, { second = null, layout = settings.layout, name = "", weighed = true } = {}) {
    Object.assign(this, { answer, weighed, options: { ...settings, layout }, fromMs: 0, cursor: null });
    this.waves = { rhythm: answer.signal && new Wave(answer.signal), beat: answer.beat && new Wave(answer.beat) };
    this.second = second && new Wave(second);
    this.activation = weighed && answer.attention && new Activation(answer.attention.temporal, this.waves.rhythm?.lengthMs ?? 0);
    this.canvas = el("canvas", { class: "tracing", tabindex: "0", role: "application", "aria-roledescription": "ECG tracing" });
    this.canvas.setAttribute("aria-label", `${name ? `${name}: ` : ""}12-lead tracing. ${KEYS}`);
    this.readout = el("output", { class: "readout", "aria-live": "off" }, "Point at the tracing to read it.");
    this.measure = el("output", { class: "measure", "aria-live": "polite" });
    const place = el("div", { class: "sheet-place" }, el("div", { class: "sheet" }, this.canvas));
    this.paper = new Paper(this.canvas, () => this.viewport.request());
    this.calipers = new Calipers(() => this.#measured());
    this.viewport = new Viewport(this.canvas, place, (view) => this.#draw(view), this.#handler());
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.canvas.addEventListener("blur", () => this.readout.setAttribute("aria-live", "off"));
    this.element = el("div", { class: "tracing-box" }, place, el("div", { class: "below" }, this.readout, this.measure));
    this.forget = onTheme(() => this.refresh());
  }

  get inBeat() { return this.options.layout === "beat"; }
  get wave() { return this.inBeat ? this.waves.beat : this.waves.rhythm; }

  set(options) {
    Object.assign(this.options, options);
    this.refresh();
    if ("layout" in options || "mmPerS" in options) this.viewport.fit();
  }

  /** The sheet anew: other layout, scale, theme, stretch. */
  refresh({ isPrint = false } = {}) {
    const { answer, options, wave } = this;
    if (!wave) return;
    const sheet = arrange(options.layout, { wave, fromMs: this.fromMs, mmPerS: options.mmPerS, mmPerMv: options.mmPerMv });
    this.cursor = null;
    const weights = this.weighed ? answer.attention?.leads : null;
    this.sheet = sheet;
    this.paper.show({
      sheet, wave, isPrint, dark: isDark(), inBeat: this.inBeat, inks: inks(), opacity: options.opacity, weights, quality: answer.quality,
      second: this.inBeat ? this.second : null, derived: answer.recording.derived_leads,
      activation: options.activation ? this.activation : null,
      largestWeight: weights && Math.max(0.25, ...Object.values(weights)),
    });
    this.viewport.setSheet(sheet);
    this.viewport.request();
  }

  #draw(view) {
    this.paper.draw(view);
    this.calipers.draw(this.paper.screen, this.sheet, view, this.paper.scene.inks.caliper);
    if (this.cursor) this.#crosshair(view);
  }

  #crosshair(view) {
    const { screen: context, scene } = this.paper;
    const { strip, ms, mv } = this.cursor;
    const x = xOf(this.sheet, strip, ms);
    context.strokeStyle = context.fillStyle = scene.inks.accent;
    context.lineWidth = 1 / view.scale;
    context.beginPath();
    context.moveTo(x, strip.yMm - this.sheet.rowMm * 0.36);
    context.lineTo(x, bandTop(this.sheet, strip) + 3);
    context.stroke();
    if (Number.isNaN(mv)) return;
    context.beginPath();
    context.arc(x, yOf(this.sheet, strip, mv), 3.5 / view.scale, 0, 2 * Math.PI);
    context.fill();
  }

  #handler() {
    const mm = (x, y) => this.viewport.toMm(x, y);
    return {
      down: (x, y) => this.calipers.down(this.sheet, this.viewport.scale, ...mm(x, y)),
      move: (x, y) => this.calipers.move(this.sheet, ...mm(x, y)),
      up: () => {},
      hover: (x, y) => this.#pointAt(...mm(x, y)),
      leave: () => { this.cursor = null; this.viewport.request(); },
    };
  }

  #pointAt(xMm, yMm) {
    const strip = stripAt(this.sheet, xMm, yMm);
    if (strip) this.#read(strip, msAt(this.sheet, strip, xMm));
    else this.cursor = null;
    this.viewport.request();
  }

  #read(strip, ms) {
    const mv = this.wave.at(strip.lead, ms);
    this.cursor = { strip, ms, mv };
    const value = this.activation?.at(strip.lead, ms, this.inBeat);
    const time = this.inBeat ? `${Math.round(ms)} ms from R` : `${(ms / 1000).toFixed(3)} s`;
    const heat = value === undefined || Number.isNaN(value) ? "none" : value.toFixed(2);
    const parts = [["Lead", strip.lead], ["Time", time], ["Amplitude", Number.isNaN(mv) ? "no sample" : `${signed(mv)} mV`]];
    if (this.activation) parts.push(["Activation", heat]);
    this.readout.replaceChildren(...parts.map(([name, text]) => el("span", {}, el("i", {}, `${name} `), el("b", {}, text), " ")));
  }

  #measured() {
    const reading = this.calipers.isOn ? this.calipers.reading : null;
    const rate = reading?.perMinute ? ` · ${Math.round(reading.perMinute)} per minute` : "";
    this.measure.textContent = reading ? `Calipers, ${reading.lead}: ${Math.round(reading.ms)} ms · ${signed(reading.mv)} mV${rate}` : "";
    this.viewport.request();
  }

  setCalipers(isOn) {
    this.calipers.isOn = isOn;
    this.canvas.classList.toggle("measuring", isOn);
    if (isOn && !this.calipers.box) this.measure.textContent = "Drag over the tracing to measure.";
    else this.#measured();
    this.oncalipers?.(isOn);
  }

  #key(event) {
    const { viewport, calipers } = this;
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const acts = {
      "+": () => viewport.zoomTo(viewport.zoom * 1.25), "=": () => viewport.zoomTo(viewport.zoom * 1.25),
      "-": () => viewport.zoomTo(viewport.zoom / 1.25), 0: () => viewport.fit(),
      c: () => this.setCalipers(!calipers.isOn), Escape: () => calipers.clear(),
      Enter: () => calipers.isOn && this.cursor && calipers.mark({ ...this.cursor, ...this.cursor.strip }),
    };
    const way = ways[event.key], act = acts[event.key] ?? acts[event.key.toLowerCase()];
    if (event.ctrlKey || event.metaKey || event.altKey || !(way || act)) return;
    event.preventDefault();
    if (!way) act();
    else if (event.shiftKey) viewport.panBy(-60 * way[0], -60 * way[1]);
    else this.#step(...way);
  }

  /** The reading point along its lead, or to the same place of the next lead; spoken, since the keyboard asked. */
  #step(alongs, leads) {
    const { strips } = this.sheet;
    const now = this.cursor ?? { strip: strips[0], ms: strips[0].startMs };
    const at = (strips.findIndex((each) => each.lead === now.strip.lead && each.row === now.strip.row) + leads + strips.length) % strips.length;
    const strip = strips[at];
    const ms = leads ? strip.startMs + (now.ms - now.strip.startMs) : now.ms + alongs * READ_STEP_MS;
    this.readout.setAttribute("aria-live", "polite");
    this.#read(strip, Math.min(strip.startMs + strip.lengthMs - 1, Math.max(strip.startMs, ms)));
    if (this.calipers.isOn) this.calipers.follow({ lead: strip.lead, ...this.cursor });
    this.viewport.request();
  }

  /** To scale for paper: 25.4 mm an inch, light inks; and back. */
  print() {
    this.before = { zoom: this.viewport.zoom, fits: this.viewport.fits };
    this.refresh({ isPrint: true });
    Object.assign(this.viewport, { zoom: 1, fits: false, xMm: 0, yMm: 0, isHeld: true });
    const px = this.viewport.scale;
    this.viewport.size(this.sheet.widthMm * px, this.sheet.heightMm * px, 3);
  }

  unprint() {
    Object.assign(this.viewport, this.before, { isHeld: false });
    this.refresh();
  }

  /** Earlier and later stretches of a recording that is longer than a sheet. */
  turn(steps) {
    const last = Math.max(0, this.waves.rhythm.lengthMs - WINDOW_S * 1000);
    this.fromMs = Math.min(last, Math.max(0, this.fromMs + steps * WINDOW_S * 1000));
    this.refresh();
    return this.fromMs;
  }

  get isLong() { return (this.waves.rhythm?.lengthMs ?? 0) > WINDOW_S * 1000 + 500; }
}

/** Whatever is shown goes to paper to scale, in light inks. */
export function printed(tracings) {
  let theme;
  addEventListener("beforeprint", () => {
    theme = document.documentElement.dataset.theme;
    setTheme("light");
    tracings().forEach((each) => each.print());
  });
  addEventListener("afterprint", () => {
    setTheme(theme);
    tracings().forEach((each) => each.unprint());
  });
}
