// The map: dots by what they are coloured by, selection, small pictures, and the way from a dot to its card and back.
"use strict";
(() => {
  const { data, decode, colour, onTheme, whenPlotly, layout, say, copy, movable } = alAgent;
  const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7A5195", "#8C6D31"];
  const VIRIDIS = ["#440154", "#3B528B", "#21918C", "#5EC962", "#FDE725"];
  const MOST_IN_SVG = 5000;
  const MOST_LISTED = 500;

  const map = data("map");
  const [x, y, ranks] = [decode(map.x), decode(map.y), decode(map.ranks)];
  const columns = map.columns.map((one) => ({ ...one, values: decode(one.values ?? one.codes) }));
  const pictures = { ...map.pictures, rows: decode(map.pictures.rows), sizes: decode(map.pictures.sizes) };
  const pictureOf = new Map(Array.from(pictures.rows, (row, place) => [row, place]));
  const rowOfRank = new Map();
  ranks.forEach((rank, row) => { if (rank) rowOfRank.set(rank, row); });

  const extent = [x, y].map((values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0));

  const find = (selector) => document.querySelector(selector);
  const plot = find("#map-plot");
  const tip = find("#map-tip");
  const panel = find("#map-selection");
  const select = find("#map-colour");
  const hidden = new Set();
  const hasGL = Boolean(document.createElement("canvas").getContext("webgl"));
  const drawn = hasGL ? null : fewer();
  let Plotly;
  let rowsOf = [];
  let selected = null;
  let found = null;
  let isActive = false;

  /** Without WebGL: the picks and an even part of the others, as many as a browser can draw by other means. */
  function fewer() {
    if (x.length <= MOST_IN_SVG) return null;
    const picks = Array.from(rowOfRank.values()).slice(0, MOST_IN_SVG);
    const left = MOST_IN_SVG - picks.length;
    const others = [];
    for (let place = 0; place < left; place += 1) others.push(Math.floor(place * x.length / left));
    return new Set([...picks, ...others]);
  }

  function numberText(number) {
    if (!Number.isFinite(number)) return "none";
    const size = Math.abs(number);
    if (size >= 1000 && size < 1e9) return Math.round(number).toLocaleString("en-US");
    if (size && (size < 1e-4 || size >= 1e9)) return number.toExponential(2);
    return String(Number(number.toPrecision(3)));
  }

  /** The groups of a column, each with a colour and its rows; picks are apart. */
  function groups(column) {
    const quiet = colour("--pool");
    const all = [];
    const add = (name, paint, isOpaque = true) => all.push({ name, paint, isOpaque, rows: [], nPicks: 0 }) - 1;
    let groupOf;
    if (column.names && column.key === "state") {
      const own = { unlabeled: quiet, labeled: colour("--labeled") };
      const places = column.names.map((name, code) => add(name, own[name] ?? COLOURS[(code + 1) % COLOURS.length], name !== "unlabeled"));
      groupOf = (code) => places[code] ?? 0;
    } else if (column.names) {
      const places = column.names.slice(0, column.n_named).map((name, code) => add(name, COLOURS[code]));
      const rest = column.names.length > column.n_named ? add(column.rest, quiet) : 0;
      let none = -1;
      groupOf = (code) => (code < 0 ? (none < 0 ? (none = add(column.none, quiet, false)) : none) : places[code] ?? rest);
    } else {
      add(column.label, null);
      let none = -1;
      groupOf = (value) => (Number.isNaN(value) ? (none < 0 ? (none = add("none", quiet, false)) : none) : 0);
    }
    for (let row = 0; row < x.length; row += 1) {
      if (drawn && !drawn.has(row)) continue;
      const group = all[groupOf(column.values[row])];
      if (ranks[row]) group.nPicks += 1;
      else group.rows.push(row);
    }
    // quiet ones first, so that what is rare lies on top
    const order = all.map((group, place) => ({ ...group, place }));
    return order.sort((one, other) => other.rows.length - one.rows.length);
  }

  function ramp(column, rows) {
    return {
      color: rows.map((row) => column.values[row]),
      colorscale: VIRIDIS.map((paint, place) => [place / (VIRIDIS.length - 1), paint]),
      cmin: column.low,
      cmax: column.high > column.low ? column.high : column.low + 1,
      showscale: false,
    };
  }

  function trace(rows, marker, more = {}) {
    const places = selected ? rows.flatMap((row, place) => (selected.has(row) ? [place] : [])) : undefined;
    return {
      type: hasGL ? "scattergl" : "scatter",
      mode: "markers",
      x: Float32Array.from(rows, (row) => x[row]),
      y: Float32Array.from(rows, (row) => y[row]),
      hoverinfo: "none",
      selectedpoints: places,
      unselected: { marker: { opacity: 0.12 } },
      marker,
      ...more,
    };
  }

  function draw() {
    const column = columns.find((one) => one.key === select.value) ?? columns[0];
    const size = x.length <= 500 ? 9 : x.length <= 5000 ? 6 : x.length <= 30000 ? 4 : 3;
    const picks = Array.from(rowOfRank.values()).filter((row) => !drawn || drawn.has(row));
    const all = groups(column);
    const shown = all.filter((group) => !hidden.has(`${column.key} ${group.name}`));
    const traces = shown.map((group) => trace(group.rows, {
      size,
      opacity: group.isOpaque ? 0.8 : 0.45,
      ...(group.paint ? { color: group.paint } : ramp(column, group.rows)),
    }));
    rowsOf = shown.map((group) => group.rows);
    if (picks.length && !hidden.has("picks")) {
      const isState = column.key === "state";
      const own = isState || !column.names ? null : picks.map((row) => {
        const code = column.values[row];
        return code >= 0 && code < column.n_named ? COLOURS[code] : colour("--pool");
      });
      const paint = isState ? { color: colour("--picked") } : own ? { color: own } : ramp(column, picks);
      traces.push(trace(picks, {
        size: size + 5, opacity: 1, line: { width: isState ? 1.5 : 2.5, color: isState ? colour("--card") : colour("--ink") }, ...paint,
      }, { unselected: { marker: { opacity: 0.35 } } }));
      rowsOf.push(picks);
    }
    if (found !== null) {
      traces.push(trace([found], { size: 26, symbol: "circle-open", line: { width: 3 }, color: colour("--ink") }, { selectedpoints: undefined, hoverinfo: "skip" }));
      rowsOf.push([found]);
    }
    const ranges = plot.layout ? { x: plot.layout.xaxis.range, y: plot.layout.yaxis.range } : whole();
    const axis = { visible: false, fixedrange: false };
    Plotly.react(plot, traces, layout({
      margin: { l: 0, r: 0, t: 0, b: 0 },
      hovermode: "closest",
      hoverdistance: 10,
      dragmode: dragmode(),
      xaxis: { ...axis, range: ranges.x, automargin: false },
      yaxis: { ...axis, range: ranges.y, automargin: false },
      newselection: { line: { color: colour("--ink"), width: 1.5 } },
      width: plot.clientWidth,
      height: plot.clientHeight,
    }), { displayModeBar: false, scrollZoom: false, doubleClick: false, responsive: false }).then(() => { plot.dataset.ready = ""; });
    drawLegend(column, all, picks.length);
  }

  /** What Plotly does when the pointer drags; it is moved by ourselves. */
  function dragmode() {
    const { drag } = find('#map [data-drag][aria-pressed="true"]').dataset;
    plot.dataset.mode = drag;
    return drag === "pan" ? false : drag;
  }

  /** Ranges that show all items, with one scale for both axes. */
  function whole() {
    const perPixel = 2.16 * Math.max(extent[0] / plot.clientWidth, extent[1] / plot.clientHeight) || 2 / plot.clientHeight;
    const [wide, high] = [perPixel * plot.clientWidth / 2, perPixel * plot.clientHeight / 2];
    return { x: [-wide, wide], y: [-high, high] };
  }

  function drawLegend(column, all, nPicks) {
    const legend = find("#map-legend");
    const lines = [];
    const isState = column.key === "state";
    if (nPicks) lines.push(key("picks", `picked (${nPicks.toLocaleString("en-US")})`, colour(isState ? "--picked" : "--ink"), !isState));
    for (const group of all.sort((one, other) => one.place - other.place)) {
      if (!group.paint) {
        const line = document.createElement("span");
        const bar = document.createElement("span");
        bar.className = "ramp";
        bar.style.background = `linear-gradient(90deg, ${VIRIDIS.join(", ")})`;
        const unit = column.unit ? ` (${column.unit})` : "";
        line.append(`${column.label}${unit}: ${column.cut ? "up to " : ""}${numberText(column.low)} `, bar, ` ${numberText(column.high)}${column.cut ? " and above" : ""}`);
        lines.push(line);
        continue;
      }
      const count = group.rows.length + (isState ? 0 : group.nPicks);
      if (count) lines.push(key(`${column.key} ${group.name}`, `${group.name} (${count.toLocaleString("en-US")})`, group.paint));
    }
    legend.replaceChildren(...lines);
  }

  /** A line of the legend that shows and hides its dots; a ring instead of a dot for picks that have the colours of others. */
  function key(id, text, paint, isRing = false) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(!hidden.has(id)));
    const dot = document.createElement("span");
    dot.className = "dot";
    if (isRing) dot.style.border = `2.5px solid ${paint}`;
    else dot.style.background = paint;
    const label = document.createElement("bdi");
    label.textContent = text;
    button.title = `Show or hide: ${text}`;
    button.append(dot, label);
    button.addEventListener("click", () => {
      if (hidden.has(id)) hidden.delete(id);
      else hidden.add(id);
      draw();
      const again = Array.from(document.querySelectorAll("#map-legend button")).find((one) => one.title === button.title);
      again?.focus();
    });
    return button;
  }

  function rowOf(point) {
    return rowsOf[point.curveNumber]?.[point.pointNumber ?? point.pointIndex];
  }

  /** The small picture, the id and the values of an item, beside the pointer. */
  function tell(row, left, top) {
    const small = tip.querySelector(".small");
    const place = pictureOf.get(row);
    small.className = "small";
    small.removeAttribute("style");
    small.textContent = "";
    if (place === undefined) {
      small.classList.add("none");
      small.textContent = "no thumbnail kept in this page";
    } else {
      const cell = place % pictures.across ** 2;
      const sheet = pictures.sheets[Math.floor(place / pictures.across ** 2)];
      small.style.width = `${pictures.sizes[2 * place]}px`;
      small.style.height = `${pictures.sizes[2 * place + 1]}px`;
      small.style.backgroundImage = `url(data:image/webp;base64,${sheet})`;
      small.style.backgroundPosition = `-${cell % pictures.across * pictures.cell}px -${Math.floor(cell / pictures.across) * pictures.cell}px`;
    }
    const lines = [line("", map.ids[row])];
    if (ranks[row]) lines.push(line("", `pick ${ranks[row].toLocaleString("en-US")}`));
    for (const column of columns) {
      const value = column.values[row];
      if (column.names && value >= 0) lines.push(line(`${column.label} `, column.names[value]));
      if (!column.names && !Number.isNaN(value)) lines.push(line(`${column.label} `, numberText(value)));
    }
    tip.querySelector(".told").replaceChildren(...lines);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, left + 16 + box.width > innerWidth ? left - 16 - box.width : left + 16)}px`;
    tip.style.top = `${Math.max(8, Math.min(top + 12, innerHeight - box.height - 8))}px`;
  }

  function line(label, text) {
    const element = document.createElement("div");
    const value = document.createElement("bdi");
    value.textContent = text;
    if (label) {
      const name = document.createElement("span");
      name.textContent = label;
      element.append(name);
    }
    element.append(value);
    return element;
  }

  function choose(rows, isDrawn = false) {
    selected = rows ? new Set(rows) : null;
    panel.hidden = !selected;
    if (selected) {
      const list = Array.from(selected).sort((one, other) => one - other);
      panel.querySelector("h3").textContent = list.length === 1 ? "1 item is selected" : `${list.length.toLocaleString("en-US")} items are selected`;
      panel.querySelector("ol").replaceChildren(...list.slice(0, MOST_LISTED).map((row) => {
        const element = document.createElement("li");
        const id = document.createElement("bdi");
        id.textContent = map.ids[row];
        element.append(id);
        if (ranks[row]) element.append(` (pick ${ranks[row].toLocaleString("en-US")})`);
        return element;
      }));
      const rest = list.length - MOST_LISTED;
      panel.querySelector(".note").textContent = rest > 0 ? `${rest.toLocaleString("en-US")} more are copied and downloaded, not listed.` : "";
    }
    if (!isDrawn) draw();
  }

  function selectedIds() {
    return Array.from(selected).sort((one, other) => one - other).map((row) => map.ids[row]).join("\n") + "\n";
  }

  function zoom(factor, moveX = 0, moveY = 0) {
    const next = (range, move) => {
      const [middle, half] = [(range[0] + range[1]) / 2 + move * (range[1] - range[0]), (range[1] - range[0]) / 2 * factor];
      return [middle - half, middle + half];
    };
    Plotly.relayout(plot, { "xaxis.range": next(plot.layout.xaxis.range, moveX), "yaxis.range": next(plot.layout.yaxis.range, moveY) });
  }

  /** Draws the part of the map whose corner, in pixels of what was drawn, is at the upper left. */
  function settle({ left, top, scale }) {
    const { xaxis, yaxis } = plot.layout;
    const perPixel = (xaxis.range[1] - xaxis.range[0]) / plot.clientWidth;
    const [low, high] = [xaxis.range[0] + left * perPixel, yaxis.range[1] - top * perPixel];
    Plotly.relayout(plot, {
      "xaxis.range": [low, low + plot.clientWidth * perPixel / scale],
      "yaxis.range": [high - plot.clientHeight * perPixel / scale, high],
    });
  }

  function showAll() {
    const ranges = whole();
    Plotly.relayout(plot, { "xaxis.range": ranges.x, "yaxis.range": ranges.y });
  }

  function goTo(element) {
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({ behavior: isCalm ? "auto" : "smooth", block: "center" });
    element.focus({ preventScroll: true });
  }

  function goToCard(rank) {
    const card = document.getElementById(`pick-${rank}`);
    document.querySelector(".lit")?.classList.remove("lit");
    card.classList.add("lit");
    goTo(card);
  }

  function showOnMap(rank) {
    found = rowOfRank.get(rank);
    const { xaxis, yaxis } = plot.layout;
    const isIn = (range, value) => value > Math.min(...range) && value < Math.max(...range);
    draw();
    if (!isIn(xaxis.range, x[found]) || !isIn(yaxis.range, y[found])) showAll();
    goTo(plot);
    say(`Pick ${rank} has a ring on the map`);
  }

  function resize() {
    if (plot.dataset.ready === undefined || !plot.clientWidth) return;
    const { xaxis, yaxis } = plot.layout;
    const middle = (yaxis.range[0] + yaxis.range[1]) / 2;
    const half = (xaxis.range[1] - xaxis.range[0]) / 2 * plot.clientHeight / plot.clientWidth;
    Plotly.relayout(plot, { width: plot.clientWidth, height: plot.clientHeight, "yaxis.range": [middle - half, middle + half] });
  }

  function listen() {
    const hand = movable(plot, {
      mayMove: () => plot.dataset.mode === "pan",
      mayWheel: () => isActive, // the wheel scrolls the page until the map was clicked
      settle,
      onMove: () => { tip.hidden = true; },
    });
    plot.on("plotly_hover", ({ points, event }) => {
      const row = rowOf(points[0]);
      if (row !== undefined) tell(row, event.clientX, event.clientY);
    });
    plot.on("plotly_unhover", () => { tip.hidden = true; });
    plot.on("plotly_click", ({ points }) => {
      const row = rowOf(points[0]);
      if (row !== undefined && ranks[row] && !hand.wasMoved()) goToCard(ranks[row]);
    });
    plot.on("plotly_selected", (event) => {
      // Plotly also tells of an empty selection when the map is drawn anew, without what was drawn by hand
      if (event?.points.length || event?.lassoPoints || event?.range) choose(event.points.map(rowOf).filter((row) => row !== undefined), true);
    });
    plot.on("plotly_deselect", () => choose(null));
    plot.addEventListener("pointerleave", () => { tip.hidden = true; });
    document.addEventListener("pointerdown", (event) => { isActive = plot.contains(event.target); });
    plot.addEventListener("keydown", (event) => {
      const does = {
        ArrowLeft: () => zoom(1, -0.1), ArrowRight: () => zoom(1, 0.1), ArrowUp: () => zoom(1, 0, 0.1), ArrowDown: () => zoom(1, 0, -0.1),
        "+": () => zoom(0.8), "=": () => zoom(0.8), "-": () => zoom(1.25), 0: showAll, Escape: () => choose(null),
      }[event.key];
      if (does && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        does();
      }
    });
    select.addEventListener("change", draw);
    for (const button of document.querySelectorAll("#map [data-drag]")) {
      button.addEventListener("click", () => {
        for (const other of document.querySelectorAll("#map [data-drag]")) other.setAttribute("aria-pressed", String(other === button));
        Plotly.relayout(plot, { dragmode: dragmode() });
      });
    }
    for (const button of document.querySelectorAll("#map [data-zoom]")) {
      button.addEventListener("click", { in: () => zoom(0.7), out: () => zoom(1 / 0.7), all: showAll }[button.dataset.zoom]);
    }
    find("#map-find").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = new FormData(event.target).get("text").trim().toLowerCase();
      if (!text) return choose(null);
      const rows = [];
      map.ids.forEach((id, row) => { if (id.toLowerCase().includes(text)) rows.push(row); });
      choose(rows);
      return undefined;
    });
    const does = {
      copy: () => copy(selectedIds(), selected.size === 1 ? "1 id" : `${selected.size.toLocaleString("en-US")} ids`),
      download: () => {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([selectedIds()], { type: "text/plain" }));
        link.download = "selected-ids.txt";
        link.click();
        setTimeout(() => URL.revokeObjectURL(link.href), 1000);
      },
      clear: () => choose(null),
    };
    for (const button of panel.querySelectorAll("[data-selection]")) button.addEventListener("click", does[button.dataset.selection]);
    for (const button of document.querySelectorAll("[data-show]")) {
      button.hidden = false;
      button.addEventListener("click", () => showOnMap(Number(button.dataset.show)));
    }
    new ResizeObserver(resize).observe(plot);
    addEventListener("beforeprint", resize);
    addEventListener("afterprint", resize);
  }

  whenPlotly().then((loaded) => {
    Plotly = loaded;
    plot.querySelector(".waiting").remove();
    find("#map .tools").hidden = false;
    onTheme(draw);
    listen();
    if (!hasGL) {
      const said = find("#map-said");
      said.hidden = false;
      const part = drawn ? `shows ${drawn.size.toLocaleString("en-US")} of ${x.length.toLocaleString("en-US")} items, the picks among them` : "may be slow";
      said.textContent = `This browser has no WebGL: the map ${part}.`;
    }
  });
})();
