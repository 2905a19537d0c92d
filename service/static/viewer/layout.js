// Where each stretch of each lead stands on the paper, in millimetres.

import { LEADS } from "./words.js";

export const MARGIN_MM = 5;
/** The calibration pulse before each row lasts 0.2 s. */
export const pulseMm = (mmPerS) => 0.2 * mmPerS;
const TOP_MM = 4;
const FOOT_MM = 7;
const BEAT_GAP_MM = 8;
export const WINDOW_S = 10;

const BY_FOUR = [["I", "aVR", "V1", "V4"], ["II", "aVL", "V2", "V5"], ["III", "aVF", "V3", "V6"]];
export const LAYOUTS = {
  "3x4": { title: "3 × 4", rows: BY_FOUR, rowMm: 27, rhythm: "II" },
  "6x2": { title: "6 × 2", rows: LEADS.slice(0, 6).map((lead, row) => [lead, LEADS[row + 6]]), rowMm: 22, rhythm: "II" },
  "12x1": { title: "12 × 1", rows: LEADS.map((lead) => [lead]), rowMm: 20 },
  beat: { title: "Median beat", rows: BY_FOUR, rowMm: 30, beat: true },
};

/**
 * {strips: [{lead, startMs, lengthMs, xMm, yMm, middleMv, row}], widthMm, heightMm, rowMm}. `wave` is {startMs, lengthMs};
 * `fromMs` is where the shown window begins. Columns follow each other in time where the recording is long enough,
 * else all of them show the same stretch.
 */
export function arrange(name, { wave, fromMs = 0, mmPerS, mmPerMv }) {
  const layout = LAYOUTS[name];
  const rowMm = layout.rowMm * Math.max(1, mmPerMv / 10);
  const columns = layout.rows[0].length;
  const shownMs = layout.beat ? wave.lengthMs * columns : WINDOW_S * 1000;
  const columnMs = shownMs / columns;
  const together = layout.beat || wave.lengthMs < columnMs * columns * 0.9;
  const gapMm = layout.beat ? BEAT_GAP_MM : 0;
  const left = MARGIN_MM + pulseMm(mmPerS) + 4;
  const strips = [];
  const add = (lead, row, column, atMs, lengthMs) => {
    const beginMs = wave.startMs + (layout.beat ? 0 : fromMs) + atMs;
    const endMs = Math.min(beginMs + lengthMs, wave.startMs + wave.lengthMs);
    const xMm = left + column * ((columnMs / 1000) * mmPerS + gapMm);
    const [yMm, middleMv] = [TOP_MM + (row + 0.55) * rowMm, wave.middle?.(lead, beginMs, endMs) ?? 0];
    if (endMs > beginMs) strips.push({ lead, row, startMs: beginMs, lengthMs: endMs - beginMs, xMm, yMm, middleMv });
  };
  layout.rows.forEach((leads, row) => leads.forEach((lead, column) => add(lead, row, column, together ? 0 : column * columnMs, columnMs)));
  const rows = layout.rows.length + (layout.rhythm ? 1 : 0);
  if (layout.rhythm) add(layout.rhythm, rows - 1, 0, 0, shownMs);
  const widthMm = left + (shownMs / 1000) * mmPerS + gapMm * (columns - 1) + MARGIN_MM;
  return { strips, widthMm, heightMm: TOP_MM + rows * rowMm + FOOT_MM, rowMm, mmPerS, mmPerMv, leftMm: left };
}

/** The strip under a point of the paper, or the nearest in its column. */
export function stripAt(sheet, xMm, yMm) {
  let best = null;
  for (const strip of sheet.strips) {
    const right = strip.xMm + (strip.lengthMs / 1000) * sheet.mmPerS;
    if (xMm < strip.xMm || xMm > right) continue;
    const away = Math.abs(yMm - strip.yMm);
    if (away < sheet.rowMm && (!best || away < best.away)) best = { strip, away };
  }
  return best?.strip ?? null;
}

export const xOf = (sheet, strip, ms) => strip.xMm + ((ms - strip.startMs) / 1000) * sheet.mmPerS;
// Each strip is centred on its own middle voltage, so that an offset of the amplifier takes no lead off its row.
export const yOf = (sheet, strip, mv) => strip.yMm - (mv - strip.middleMv) * sheet.mmPerMv;
export const msAt = (sheet, strip, xMm) => strip.startMs + ((xMm - strip.xMm) / sheet.mmPerS) * 1000;
export const mvAt = (sheet, strip, yMm) => strip.middleMv + (strip.yMm - yMm) / sheet.mmPerMv;
