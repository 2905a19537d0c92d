// Zoom and pan of one canvas: wheel, drag, pinch, keys. It draws at most once a frame.

import { PX_PER_MM } from "./paper.js";

const LARGEST = 6;
// The frame's two borders.
const FRAME_PX = 2;
const SMALLEST = 0.3;

export class Viewport {
  #queued = false;
  #pointers = new Map();

  /** `place` is the element whose width is there to fill; `draw(view)` draws; `handler` may take a pointer for itself: {down, move, up, hover, leave}. */
  constructor(canvas, place, draw, handler) {
    Object.assign(this, { canvas, place, draw, handler, zoom: 1, xMm: 0, yMm: 0, fits: true, frames: [] });
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    for (const kind of ["down", "move", "up", "cancel", "leave"]) canvas.addEventListener(`pointer${kind}`, (event) => this[`_${kind}`](event));
    new ResizeObserver(() => this.resize()).observe(place);
  }

  get scale() { return this.zoom * PX_PER_MM; }
  get width() { return this.canvas.clientWidth; }
  get height() { return this.canvas.clientHeight; }

  setSheet(sheet) {
    this.sheet = sheet;
    this.resize();
  }

  /** The canvas takes its column's width, and the height of a sheet that is as wide. */
  resize() {
    if (this.isHeld || !this.sheet || !this.place.clientWidth) return;
    const width = this.place.clientWidth - FRAME_PX;
    if (this.fits) this.zoom = width / PX_PER_MM / this.sheet.widthMm;
    const height = Math.ceil((this.sheet.heightMm * width) / this.sheet.widthMm);
    const { widthMm, heightMm } = this.sheet;
    // A sheet smaller than its place leaves no blank canvas beside it.
    this.size(Math.min(width, Math.ceil(widthMm * this.scale)), Math.min(height, Math.ceil(heightMm * this.scale)), Math.min(3, window.devicePixelRatio || 1));
    this.canvas.classList.toggle("zoomed", !this.fits);
  }

  size(width, height, ratio) {
    this.ratio = ratio;
    const wanted = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
    const isSame = this.canvas.width === wanted.width && this.canvas.height === wanted.height && this.canvas.style.width === `${width}px`;
    if (!isSame) {
      Object.assign(this.canvas, wanted);
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
    }
    this.#hold();
    // A canvas that was just resized is blank: it is drawn before the browser paints.
    if (isSame) this.request();
    else this.now();
  }

  request() {
    if (this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => { this.#queued = false; this.now(); });
  }

  now() {
    if (!this.sheet) return;
    const began = performance.now();
    this.draw({ scale: this.scale, xMm: this.xMm, yMm: this.yMm, ratio: this.ratio ?? 1 });
    this.frames.push(performance.now() - began);
    if (this.frames.length > 240) this.frames.shift();
  }

  #hold() {
    const spare = (sheet, shown) => Math.max(0, sheet - shown / this.scale);
    this.xMm = Math.min(Math.max(0, this.xMm), spare(this.sheet.widthMm, this.width));
    this.yMm = Math.min(Math.max(0, this.yMm), spare(this.sheet.heightMm, this.height));
  }

  panBy(dxPx, dyPx) {
    this.xMm -= dxPx / this.scale;
    this.yMm -= dyPx / this.scale;
    this.#hold();
    this.request();
  }

  /** Around a point of the canvas, which stays where it is. */
  zoomTo(zoom, x = this.width / 2, y = this.height / 2) {
    const [atX, atY] = this.toMm(x, y);
    this.zoom = Math.min(LARGEST, Math.max(SMALLEST, zoom));
    this.fits = false;
    this.xMm = atX - x / this.scale;
    this.yMm = atY - y / this.scale;
    this.resize();
    this.onzoom?.();
  }

  fit() {
    Object.assign(this, { fits: true, xMm: 0, yMm: 0 });
    this.resize();
    this.onzoom?.();
  }

  toMm(x, y) { return [this.xMm + x / this.scale, this.yMm + y / this.scale]; }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** With Ctrl (which a pinch on a touchpad sends too) it zooms, with Shift it pans; else the page scrolls. */
  #wheel(event) {
    if (event.ctrlKey || event.metaKey) this.zoomTo(this.zoom * Math.exp(-event.deltaY / 300), ...this.#place(event));
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.panBy(-(event.deltaX || event.deltaY), 0);
    else return;
    event.preventDefault();
  }

  _down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, this.#place(event));
    this.taken = this.#pointers.size === 1 && this.handler.down(...this.#place(event));
    if (this.#pointers.size === 2) this.pinch = this.#spread();
  }

  _move(event) {
    const [x, y] = this.#place(event);
    const before = this.#pointers.get(event.pointerId);
    if (!before) return this.handler.hover(x, y);
    this.#pointers.set(event.pointerId, [x, y]);
    if (this.#pointers.size === 2) return this.#pinched();
    if (this.taken) return this.handler.move(x, y);
    this.handler.hover(x, y);
    return this.panBy(x - before[0], y - before[1]);
  }

  #spread() {
    const [[ax, ay], [bx, by]] = [...this.#pointers.values()];
    return { distance: Math.hypot(ax - bx, ay - by), x: (ax + bx) / 2, y: (ay + by) / 2 };
  }

  #pinched() {
    const now = this.#spread();
    this.panBy(now.x - this.pinch.x, now.y - this.pinch.y);
    this.zoomTo(this.zoom * now.distance / this.pinch.distance, now.x, now.y);
    this.pinch = now;
  }

  _up(event) {
    this.#pointers.delete(event.pointerId);
    if (this.taken) this.handler.up();
    this.taken = false;
  }

  _cancel(event) { this._up(event); }
  _leave() { if (!this.#pointers.size) this.handler.leave(); }
}
