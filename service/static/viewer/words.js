// Numbers and codes in a clinician's words.

export const LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];

export function ordinal(number) {
  const tail = number % 100;
  if (tail > 10 && tail < 14) return "th";
  return { 1: "st", 2: "nd", 3: "rd" }[number % 10] ?? "th";
}

/** The percentile as a whole number that is never rounded to "everybody". */
export const wholePercentile = (percentile) => Math.min(99, Math.max(1, Math.round(percentile)));

export function percent(share) {
  const value = share * 100;
  // A risk is never told as none.
  if (value < 0.005) return "<\u00a00.01\u00a0%";
  return `${value.toFixed(value >= 9.95 ? 0 : value >= 0.095 ? 1 : 2)}\u00a0%`;
}

/** A lead's share of the weight, which sums to one over the leads. */
export const share = (weight) => `${(weight * 100).toFixed(weight >= 0.0995 ? 0 : 1)}\u00a0%`;

/** A risk as people of a hundred, of a thousand where it is small; never as nobody and never as everybody. */
export function frequency(share) {
  const of = share < 0.01 ? 1000 : 100;
  const count = (each) => {
    const people = Math.round(each * of);
    if (people === 0) return "fewer than 1";
    return people === of ? `more than ${of - 1}` : String(people);
  };
  return { of: of === 1000 ? "1\u00a0000" : "100", count };
}

export const years = (number) => `${number} ${number === 1 ? "year" : "years"}`;

const ISSUES = {
  non_finite: "gaps in the signal", flat: "flat line", clipped: "clipped", noise: "noisy", baseline: "wandering baseline",
  mains: "mains hum", implausible_amplitude: "implausible amplitude", too_short: "too short",
  implausible_rate: "implausible heart rate", sampling_rate_suspect: "suspect sampling rate",
  leads_inconsistent: "limb leads contradict each other", duplicate_leads: "duplicate leads",
  limb_reversal: "limb electrodes may be reversed", precordial_swap: "chest electrodes may be swapped",
  pacing_spikes: "pacing spikes", not_an_ecg: "no ECG to be seen",
};

export const plain = (code) => ISSUES[code] ?? String(code).replaceAll("_", " ");

// Where the service speaks to programs, the page speaks to people.
const REFUSALS = {
  credentials_missing: "This service answers only those who show an API key.",
  credentials_invalid: "The API key is unknown here, or it has expired.",
  scope_missing: "This API key does not allow that.",
  quality_rejected: "The recording cannot be judged, for these reasons:",
  unknown_format: "This file is none of the ECG formats that the service reads.",
  malformed: "The file is damaged or incomplete.",
  rate_limited: "Too many requests at once.",
  queue_full: "The service is busy.",
};

export const refused = (code) => REFUSALS[code];

export const MEASUREMENTS = [
  ["heart_rate_bpm", "Heart rate", "bpm"], ["pr_ms", "PR", "ms"], ["qrs_ms", "QRS", "ms"],
  ["qt_ms", "QT", "ms"], ["qtc_ms", "QTc", "ms"], ["axis_deg", "QRS axis", "°"],
];

export function measured(value, unit) {
  if (value === null || value === undefined) return "–";
  const text = String(Math.round(value)).replace("-", "−");
  return unit === "°" ? `${text}°` : `${text} ${unit}`;
}

/** A moment as people of a clinic read it: in their own zone and language. */
export const moment = (text) => new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

export const KINDS = {
  attention: ["Attention", "where the network looked"],
  risk: ["Risk relevance", "what moved the predicted risk"],
};
