// The samples and the activation of one answer, asked by lead and moment.

import { LEADS } from "./words.js";

const STEP_MS = 10;

export class Wave {
  constructor(told) {
    this.rateHz = told.sampling_rate_hz;
    this.startMs = told.start_ms;
    this.leads = told.leads;
    this.lengthMs = (told.leads.I.length / this.rateHz) * 1000;
  }

  at(lead, ms) {
    const value = this.leads[lead][Math.round(((ms - this.startMs) / 1000) * this.rateHz)];
    return value === null || value === undefined ? NaN : value;
  }

  index(ms) {
    return Math.max(0, Math.round(((ms - this.startMs) / 1000) * this.rateHz));
  }

  /** The median voltage of a stretch: near the line between the beats. */
  middle(lead, fromMs, toMs) {
    const part = this.leads[lead].slice(this.index(fromMs), this.index(toMs) + 1).filter((each) => each !== null).sort((a, b) => a - b);
    return part[part.length >> 1] ?? 0;
  }
}

/** Activation 0 to 1 along the recording, and along one beat where the map is told so. */
export class Activation {
  constructor(temporal, recordingMs) {
    this.beatwise = temporal.time_base === "beat";
    this.temporal = temporal;
    this.tokens = temporal.activation[LEADS[0]].length;
    this.drawn = Object.fromEntries(LEADS.map((lead) => [lead, this.#along(lead, recordingMs)]));
  }

  /** Each step's value; where two beats' windows overlap the stronger shows, outside of all there is none. */
  #along(lead, recordingMs) {
    const { start_ms, step_ms, anchors_ms, activation } = this.temporal;
    const steps = new Float32Array(Math.ceil(recordingMs / STEP_MS)).fill(NaN);
    for (const anchor of anchors_ms) {
      activation[lead].forEach((value, token) => {
        const from = Math.max(0, Math.ceil((anchor + start_ms + token * step_ms) / STEP_MS));
        const to = Math.min(steps.length, Math.ceil((anchor + start_ms + (token + 1) * step_ms) / STEP_MS));
        for (let step = from; step < to; step++) steps[step] = Number.isNaN(steps[step]) ? value : Math.max(steps[step], value);
      });
    }
    return steps;
  }

  at(lead, ms, inBeat) {
    if (!inBeat) return this.drawn[lead][Math.floor(ms / STEP_MS)] ?? NaN;
    const token = Math.floor((ms - this.temporal.start_ms) / this.temporal.step_ms);
    return (this.beatwise ? this.temporal.activation[lead][token] : undefined) ?? NaN;
  }

  /** [[fromMs, toMs, value], ...] of a stretch, equal neighbours as one. */
  pieces(lead, fromMs, toMs, inBeat) {
    const found = [];
    for (let ms = fromMs; ms < toMs; ms += STEP_MS) {
      const value = this.at(lead, ms + STEP_MS / 2, inBeat);
      const last = found.at(-1);
      if (Number.isNaN(value)) continue;
      if (last && last[1] === ms && last[2] === value) last[1] = Math.min(toMs, ms + STEP_MS);
      else found.push([ms, Math.min(toMs, ms + STEP_MS), value]);
    }
    return found;
  }

  /** Least and greatest, so that a map that singles nothing out can be told as such. */
  get range() {
    const values = LEADS.flatMap((lead) => this.temporal.activation[lead]).filter((each) => each > 0);
    return values.length ? [Math.min(...values), Math.max(...values)] : [0, 0];
  }
}
