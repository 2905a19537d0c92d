// Calipers: a box between two moments and two voltages of one lead, told in ms, mV and beats a minute.

import { msAt, mvAt, stripAt, xOf, yOf } from "./layout.js";

/** With a true minus. */
export const signed = (mv) => mv.toFixed(2).replace("-", "−");

const REACH_PX = 9;

export class Calipers {
  constructor(changed) {
    Object.assign(this, { isOn: false, marches: false, box: null, grip: null, changed });
  }

  /** Edges within reach of a finger; null where a new box begins. */
  #gripAt(sheet, scale, xMm, yMm) {
    const place = this.#placeOn(sheet);
    if (!place) return null;
    const near = (a, b) => Math.abs(a - b) * scale < REACH_PX;
    const within = (a, one, other) => a > Math.min(one, other) - REACH_PX / scale && a < Math.max(one, other) + REACH_PX / scale;
    const { x0, x1, y0, y1 } = place;
    const grip = {};
    if (within(yMm, y0, y1)) Object.assign(grip, near(xMm, x1) ? { ms: "ms1" } : near(xMm, x0) ? { ms: "ms0" } : {});
    if (within(xMm, x0, x1)) Object.assign(grip, near(yMm, y1) ? { mv: "mv1" } : near(yMm, y0) ? { mv: "mv0" } : {});
    return grip.ms || grip.mv ? grip : null;
  }

  #stripOf(sheet) {
    const { box } = this;
    const hit = (each) => each.lead === box.lead && box.ms0 >= each.startMs && box.ms0 <= each.startMs + each.lengthMs;
    return box && (sheet.strips.find((each) => hit(each) && each.row === box.row) ?? sheet.strips.find(hit));
  }

  #placeOn(sheet) {
    const strip = this.#stripOf(sheet);
    if (!strip) return null;
    const { ms0, ms1, mv0, mv1 } = this.box;
    return {
      strip, x0: xOf(sheet, strip, ms0), x1: xOf(sheet, strip, ms1), y0: yOf(sheet, strip, mv0), y1: yOf(sheet, strip, mv1),
    };
  }

  down(sheet, scale, xMm, yMm) {
    if (!this.isOn) return false;
    this.grip = this.#gripAt(sheet, scale, xMm, yMm);
    if (!this.grip) {
      const strip = stripAt(sheet, xMm, yMm);
      if (!strip) return false;
      const ms = msAt(sheet, strip, xMm), mv = mvAt(sheet, strip, yMm);
      this.box = { lead: strip.lead, row: strip.row, ms0: ms, ms1: ms, mv0: mv, mv1: mv };
      this.grip = { ms: "ms1", mv: "mv1" };
    }
    this.changed();
    return true;
  }

  move(sheet, xMm, yMm) {
    const strip = this.#stripOf(sheet);
    if (!strip) return;
    const within = (ms) => Math.min(strip.startMs + strip.lengthMs, Math.max(strip.startMs, ms));
    if (this.grip.ms) this.box[this.grip.ms] = within(msAt(sheet, strip, xMm));
    if (this.grip.mv) this.box[this.grip.mv] = mvAt(sheet, strip, yMm);
    this.changed();
  }

  /** From the keyboard: a first press sets one corner at a point of the trace, the next one the other. */
  mark({ lead, row, ms, mv }) {
    if (this.box?.isOpen && this.box.lead === lead) Object.assign(this.box, { ms1: ms, mv1: mv, isOpen: false });
    else this.box = { lead, row, ms0: ms, ms1: ms, mv0: mv, mv1: mv, isOpen: true };
    this.changed();
  }

  /** While the second corner is not set it follows the reading point. */
  follow({ lead, ms, mv }) {
    if (!this.box?.isOpen || this.box.lead !== lead) return;
    Object.assign(this.box, { ms1: ms, mv1: mv });
    this.changed();
  }

  clear() {
    this.box = null;
    this.changed();
  }

  get reading() {
    if (!this.box) return null;
    const ms = Math.abs(this.box.ms1 - this.box.ms0), mv = this.box.mv1 - this.box.mv0;
    return { lead: this.box.lead, ms, mv, perMinute: ms >= 150 ? 60000 / ms : null };
  }

  draw(context, sheet, view, ink) {
    const place = this.isOn && this.box && this.#placeOn(sheet);
    if (!place) return;
    const { x0, x1, y0, y1, strip } = place;
    context.lineWidth = 1.4 / view.scale;
    context.strokeStyle = context.fillStyle = ink;
    context.globalAlpha = 0.1;
    context.fillRect(x0, y0, x1 - x0, y1 - y0);
    context.globalAlpha = 1;
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
    this.#lines(context, sheet, [x0, x1], strip);
    if (this.marches && Math.abs(x1 - x0) * view.scale > 6) this.#march(context, sheet, place);
    this.#label(context, view, place);
  }

  #lines(context, sheet, places, strip) {
    context.beginPath();
    for (const x of places) {
      context.moveTo(x, strip.yMm - sheet.rowMm * 0.4);
      context.lineTo(x, strip.yMm + sheet.rowMm * 0.4);
    }
    context.stroke();
  }

  /** The same interval again and again to both sides: is the rhythm regular? */
  #march(context, sheet, { x0, x1, strip }) {
    const step = Math.abs(x1 - x0), right = xOf(sheet, strip, strip.startMs + strip.lengthMs);
    const places = [];
    for (let x = Math.max(x0, x1) + step; x <= right; x += step) places.push(x);
    for (let x = Math.min(x0, x1) - step; x >= strip.xMm; x -= step) places.push(x);
    context.globalAlpha = 0.55;
    this.#lines(context, sheet, places, strip);
    context.globalAlpha = 1;
  }

  #label(context, view, { x0, x1, y0, y1 }) {
    const { ms, mv } = this.reading;
    const size = Math.max(2.8, 12 / view.scale);
    const text = `${Math.round(ms)} ms   ${signed(mv)} mV`;
    context.font = `600 ${size}px system-ui, sans-serif`;
    const width = context.measureText(text).width + size;
    const x = Math.min(x0, x1), y = Math.min(y0, y1) - size * 1.7;
    context.fillRect(x, y, width, size * 1.5);
    context.fillStyle = "#fff";
    context.fillText(text, x + size / 2, y + size * 1.1);
  }
}
