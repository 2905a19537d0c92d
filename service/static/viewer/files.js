// Which of the dropped files make one recording.

const SIGNAL = /\.(dat|mat)$/i;
const stem = (name) => name.replace(/\.[^.]+$/, "").toLowerCase();

/** The signal files that a WFDB header names: the first word of each line after the record line. */
async function namedBy(header) {
  const lines = (await header.text()).split(/\r?\n/).filter((line) => line && !line.startsWith("#"));
  return new Set(lines.slice(1).map((line) => line.split(/\s+/)[0].toLowerCase()));
}

/** [{name, files}], in the order given: each header with its signal file, every other file by itself. */
export async function grouped(files) {
  const all = [...files].filter((each) => each.size > 0);
  const taken = new Set();
  const pairs = new Map();
  for (const header of all.filter((each) => /\.hea$/i.test(each.name))) {
    const names = await namedBy(header);
    const free = all.filter((each) => SIGNAL.test(each.name) && !taken.has(each));
    const signal = free.find((each) => names.has(each.name.toLowerCase())) ?? free.find((each) => stem(each.name) === stem(header.name));
    if (!signal) continue;
    taken.add(signal);
    pairs.set(header, signal);
  }
  return all.filter((each) => !taken.has(each)).map((each) => {
    const signal = pairs.get(each);
    return signal ? { name: each.name.replace(/\.hea$/i, ""), files: [each, signal] } : { name: each.name, files: [each] };
  });
}

/** The files of a drop, those inside dropped folders too. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((each) => each.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((each) => each.isDirectory)) return [...transfer.files];
  return (await Promise.all(entries.map(inside))).flat();
}

async function inside(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  // A reader hands out its entries in lots, until an empty one.
  for (;;) {
    const lot = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!lot.length) break;
    found.push(...lot);
  }
  return (await Promise.all(found.map(inside))).flat();
}
