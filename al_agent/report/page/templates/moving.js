// Moving and enlarging a plot by hand: what is drawn is shifted at once, and drawn anew when the hand rests.
"use strict";
/** Lets a pointer, two fingers or the wheel move a plot; `mayMove` says whether, `settle` gets the part of it that is wanted. */
alAgent.movable = (plot, { mayMove, mayWheel, settle, onMove }) => {
  const REST_MS = 120;
  const FAR = 0.4; // of the width, after which what was out of sight is missed
  const hands = new Map();
  let view = { left: 0, top: 0, scale: 1 };
  let timer = 0;
  let way = 0;

  function shifted() {
    clearTimeout(timer);
    plot.querySelector(".plot-container").style.transform = `translate(${view.left}px, ${view.top}px) scale(${view.scale})`;
    onMove();
    if (Math.hypot(view.left, view.top) > FAR * plot.clientWidth && view.scale === 1) rest();
    else timer = setTimeout(rest, REST_MS);
  }

  /** Hands on, in pixels of what is drawn, the corner and the enlargement that are seen. */
  function rest() {
    clearTimeout(timer);
    const { left, top, scale } = view;
    if (left === 0 && top === 0 && scale === 1) return;
    view = { left: 0, top: 0, scale: 1 };
    settle({ left: -left / scale, top: -top / scale, scale });
    plot.querySelector(".plot-container").style.transform = "";
  }

  function enlarge(factor, x, y) {
    view = { left: x - factor * (x - view.left), top: y - factor * (y - view.top), scale: view.scale * factor };
  }

  plot.addEventListener("pointerdown", (event) => {
    if (!mayMove() || event.button !== 0) return;
    if (!hands.size) way = 0;
    hands.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  document.addEventListener("pointermove", (event) => {
    const before = hands.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = Array.from(hands).find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const box = plot.getBoundingClientRect();
      const distance = (one) => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
      enlarge(distance(now) / distance(before), other.x - box.left, other.y - box.top);
    } else {
      view = { ...view, left: view.left + now.x - before.x, top: view.top + now.y - before.y };
    }
    way += Math.hypot(now.x - before.x, now.y - before.y);
    hands.set(event.pointerId, now);
    shifted();
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    document.addEventListener(kind, (event) => { if (hands.delete(event.pointerId) && !hands.size) rest(); });
  }
  plot.addEventListener("wheel", (event) => {
    if (!mayWheel()) return;
    event.preventDefault();
    const box = plot.getBoundingClientRect();
    enlarge(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), event.clientX - box.left, event.clientY - box.top);
    shifted();
  }, { passive: false });

  /** Whether the last press moved the plot, and was no click. */
  return { wasMoved: () => way > 4 };
};
