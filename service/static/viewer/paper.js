// The calibrated sheet on a canvas: grid, traces, activation bands, names. Distances are millimetres of paper.

import { rgb, ramp } from "./colours.js";
import { pulseMm, xOf, yOf } from "./layout.js";
import { plain, share } from "./words.js";

/** A CSS inch is 96 px, and a paper's 25.4 mm: at 100 % a second is 25.0 mm wherever the screen tells its size. */
export const PX_PER_MM = 96 / 25.4;
const TRACE_MM = 0.3;
const BAND_MM = 3;
const BAR_MM = 12;
// A sheet up to this many pixels is painted once and moved as a picture; beyond it only what is seen is painted.
const MOST_PIXELS = 24e6;
const SETTLE_MS = 140;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

export class Paper {
  #traces = new Map();
  #picture = document.createElement("canvas");
  #pictured = 0;

  /** `again()` asks for another drawing, once a zoom has settled. */
  constructor(canvas, again) {
    Object.assign(this, { canvas, again });
    this.context = this.screen = canvas.getContext("2d", { alpha: false });
  }

  /** `scene`: {sheet, wave, second, activation, inBeat, weights, quality, derived, opacity, dark, inks}. */
  show(scene) {
    this.scene = scene;
    this.#traces.clear();
    this.#pictured = 0;
  }

  /** `view`: {scale: px a mm, xMm, yMm of the top left corner, ratio: device px a px}. */
  draw(view) {
    const { screen, scene, canvas } = this;
    const unit = view.scale * view.ratio;
    const { widthMm, heightMm } = scene.sheet;
    if (scene.isPrint || widthMm * heightMm * unit * unit > MOST_PIXELS) this.#paint(screen, canvas, view);
    else {
      this.#depict(view, unit);
      const scale = unit / this.#pictured;
      screen.setTransform(1, 0, 0, 1, 0, 0);
      screen.fillStyle = scene.inks["paper-fill"];
      screen.fillRect(0, 0, canvas.width, canvas.height);
      screen.setTransform(scale, 0, 0, scale, -Math.round(view.xMm * unit), -Math.round(view.yMm * unit));
      screen.drawImage(this.#picture, 0, 0);
    }
    screen.setTransform(unit, 0, 0, unit, -view.xMm * unit, -view.yMm * unit);
  }

  /** The whole sheet as a picture at this zoom. While a zoom goes on, the one that is there is stretched. */
  #depict(view, unit) {
    clearTimeout(this.settling);
    if (this.#pictured === unit) return;
    const isZooming = this.#pictured && performance.now() - this.changedAt < SETTLE_MS;
    this.changedAt = performance.now();
    if (isZooming) {
      this.settling = setTimeout(() => this.again(), SETTLE_MS + 10);
      return;
    }
    const { widthMm, heightMm } = this.scene.sheet;
    Object.assign(this.#picture, { width: Math.ceil(widthMm * unit), height: Math.ceil(heightMm * unit) });
    this.#paint(this.#picture.getContext("2d", { alpha: false }), this.#picture, { ...view, xMm: 0, yMm: 0 });
    this.#pictured = unit;
  }

  #paint(context, canvas, view) {
    const { scene } = this;
    const unit = view.scale * view.ratio;
    Object.assign(this, { context, view, width: canvas.width, height: canvas.height });
    if (this.traced !== unit) this.#traces.clear();
    this.traced = unit;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = scene.inks["paper-fill"];
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.setTransform(unit, 0, 0, unit, -view.xMm * unit, -view.yMm * unit);
    this.#grid();
    const strips = scene.sheet.strips.filter((each) => this.#isSeen(each));
    if (scene.activation) for (const strip of strips) this.#band(strip);
    for (const strip of strips) this.#pulse(strip);
    this.#foot();
    // Names under the traces: a letter must never hide a peak.
    for (const strip of strips) this.#name(strip);
    for (const strip of strips) this.#trace(strip);
  }

  #isSeen(strip) {
    const { sheet } = this.scene;
    const { xMm, yMm, scale } = this.view;
    const [width, height] = [this.width / this.view.ratio / scale, this.height / this.view.ratio / scale];
    const right = xOf(sheet, strip, strip.startMs + strip.lengthMs);
    return right > xMm && strip.xMm - sheet.leftMm < xMm + width && strip.yMm + sheet.rowMm > yMm && strip.yMm - sheet.rowMm < yMm + height;
  }

  #grid() {
    const { context, view, scene } = this;
    const { widthMm, heightMm } = scene.sheet;
    const left = Math.max(0, view.xMm), top = Math.max(0, view.yMm);
    const right = Math.min(widthMm, view.xMm + this.width / view.ratio / view.scale);
    const bottom = Math.min(heightMm, view.yMm + this.height / view.ratio / view.scale);
    // Fine lines a millimetre apart would melt into one tint when they are drawn too close.
    for (const [everyMm, ink, px] of [[1, "paper-fine", 1], [5, "paper-strong", 1]]) {
      if (everyMm * view.scale < 2.2) continue;
      context.beginPath();
      for (let x = Math.ceil(left / everyMm) * everyMm; x <= right; x += everyMm) {
        context.moveTo(x, top);
        context.lineTo(x, bottom);
      }
      for (let y = Math.ceil(top / everyMm) * everyMm; y <= bottom; y += everyMm) {
        context.moveTo(left, y);
        context.lineTo(right, y);
      }
      context.strokeStyle = scene.inks[ink];
      context.lineWidth = px / view.scale / Math.max(1, view.ratio * 0.75);
      context.stroke();
    }
  }

  #band(strip) {
    const { context, scene, view } = this;
    const { sheet } = scene;
    const top = bandTop(sheet, strip), unit = view.scale * view.ratio;
    // On whole pixels of the screen: neighbours then meet without a seam.
    const snapped = (ms) => Math.round((xOf(sheet, strip, ms) - view.xMm) * unit) / unit + view.xMm;
    context.globalAlpha = scene.opacity;
    for (const [from, to, value] of scene.activation.pieces(strip.lead, strip.startMs, strip.startMs + strip.lengthMs, scene.inBeat)) {
      context.fillStyle = rgb(ramp(value, scene.dark));
      context.fillRect(snapped(from), top, snapped(to) - snapped(from), BAND_MM);
    }
    context.globalAlpha = 1;
  }

  #trace(strip) {
    const { context, scene, view } = this;
    const width = Math.max(TRACE_MM, 1.1 / view.scale);
    context.lineJoin = "bevel";
    if (scene.second) this.#stroke(strip, scene.second, scene.inks.second, width);
    this.#stroke(strip, scene.wave, scene.inks.trace, width);
    if (strip.xMm > scene.sheet.leftMm && !scene.inBeat) {
      context.beginPath();
      context.moveTo(strip.xMm, strip.yMm - 6);
      context.lineTo(strip.xMm, strip.yMm - 3);
      context.stroke();
    }
  }

  #stroke(strip, wave, ink, width) {
    const { context } = this;
    context.strokeStyle = ink;
    context.lineWidth = width;
    context.stroke(this.#pathOf(strip, wave));
  }

  /** Made once a zoom, in millimetres. */
  #pathOf(strip, wave) {
    const key = `${strip.lead} ${strip.row} ${wave === this.scene.second}`;
    if (!this.#traces.has(key)) this.#traces.set(key, tracePath(this.scene.sheet, strip, wave, 0.4 / this.traced));
    return this.#traces.get(key);
  }

  /** 1 mV for 0.2 s before each row. */
  #pulse(strip) {
    const { context, scene, view } = this;
    const { sheet } = scene;
    if (strip.xMm > sheet.leftMm) return;
    const end = strip.xMm - 2, start = end - pulseMm(sheet.mmPerS);
    context.beginPath();
    context.moveTo(start - 1, strip.yMm);
    for (const [x, y] of [[start, 0], [start, 1], [end, 1], [end, 0], [end + 1, 0]]) context.lineTo(x, strip.yMm - y * sheet.mmPerMv);
    context.strokeStyle = scene.inks["trace-soft"];
    context.lineWidth = Math.max(TRACE_MM * 0.8, 1 / view.scale);
    context.stroke();
  }

  /** What every tracing on paper says of itself. */
  #foot() {
    const { context, scene, view } = this;
    const { sheet } = scene;
    const size = Math.min(1.35, Math.max(0.2, 4.2 / view.scale));
    context.font = `400 ${2.6 * size}px ${FONT}`;
    const text = `${sheet.mmPerS} mm/s   ${sheet.mmPerMv} mm/mV   unfiltered, each strip centred`;
    this.#halo(text, sheet.leftMm, sheet.heightMm - 2.4, size);
    context.fillStyle = scene.inks["trace-soft"];
    context.fillText(text, sheet.leftMm, sheet.heightMm - 2.4);
  }

  /** Lead, its weight as a bar and a number, and what is wrong with it. */
  #name(strip) {
    const { context, scene, view } = this;
    const { sheet, weights, quality } = scene;
    // Of one size on the screen, whatever the zoom, within reason.
    const size = Math.min(1.35, Math.max(0.2, 4.2 / view.scale));
    const y = strip.yMm - Math.min(10.2, sheet.rowMm * 0.42);
    const right = strip.xMm + (strip.lengthMs / 1000) * sheet.mmPerS + (scene.inBeat ? 4 : 0);
    let x = strip.xMm + 1.2 * size;
    const say = (text, ink, mm, weight = 400) => {
      context.font = `${weight} ${mm * size}px ${FONT}`;
      const width = context.measureText(text).width;
      if (x + width > right) return;
      this.#halo(text, x, y, size);
      context.fillStyle = ink;
      context.fillText(text, x, y);
      x += width + 1.4 * size;
    };
    say(strip.lead, scene.inks.trace, 3.5, 650);
    const issues = quality?.leads[strip.lead]?.issues ?? [];
    // What is wrong with a lead comes first; such a lead weighs nothing.
    if (issues.length) say(`⚠ ${issues.map(plain).join(", ")}`, scene.inks.warn, 2.7, 600);
    else if (weights) this.#weight(strip, y, Math.max(x, strip.xMm + 9.5 * size), size);
    if (weights) x = Math.max(x, strip.xMm + (9.5 + BAR_MM + 10.5) * size);
    if (!issues.length && scene.derived?.includes(strip.lead)) say("derived", scene.inks["trace-soft"], 2.5);
  }

  #halo(text, x, y, size) {
    const { context, scene } = this;
    context.lineJoin = "round";
    context.strokeStyle = scene.inks["paper-fill"];
    context.lineWidth = size;
    context.strokeText(text, x, y);
  }

  #weight(strip, y, x, size) {
    const { context, scene } = this;
    const weight = scene.weights[strip.lead];
    const text = share(weight), textX = x + (BAR_MM + 1) * size;
    context.font = `400 ${2.7 * size}px ${FONT}`;
    this.#halo(text, textX, y, size);
    context.fillStyle = scene.inks["trace-soft"];
    context.fillText(text, textX, y);
    context.fillStyle = scene.inks["bar-track"];
    context.fillRect(x, y - 2.1 * size, BAR_MM * size, 1.9 * size);
    context.fillStyle = scene.inks.accent;
    context.fillRect(x, y - 2.1 * size, Math.max(0.2, (BAR_MM * weight) / scene.largestWeight) * size, 1.9 * size);
  }
}

export const bandTop = (sheet, strip) => strip.yMm + Math.min(sheet.rowMm * 0.42 - BAND_MM, 0.6 * sheet.mmPerMv + 1.5);

/** Points nearer than `leastMm` to the one before, far below a pixel, are left out. */
function tracePath(sheet, strip, wave, leastMm) {
  const path = new Path2D();
  const samples = wave.leads[strip.lead];
  const last = Math.min(samples.length - 1, wave.index(strip.startMs + strip.lengthMs));
  let isDown = false, beforeX = 0, beforeY = 0;
  for (let index = wave.index(strip.startMs); index <= last; index++) {
    const mv = samples[index];
    const x = xOf(sheet, strip, wave.startMs + (index / wave.rateHz) * 1000), y = yOf(sheet, strip, mv);
    if (isDown && mv !== null && index < last && Math.abs(x - beforeX) < leastMm && Math.abs(y - beforeY) < leastMm) continue;
    if (mv !== null) path[isDown ? "lineTo" : "moveTo"](x, y);
    isDown = mv !== null;
    [beforeX, beforeY] = [x, y];
  }
  return path;
}
