// The learning curves of a study: a line and a band for each method, in one unit of labels at a time.
"use strict";
(() => {
  const study = alAgent.data("study");
  if (!study.units.length) return;
  // Okabe and Ito's colours and others, each dark enough for white paper, or light enough for black
  const LIGHT = ["#0072b2", "#c04f00", "#007a59", "#a83c80", "#8a6000", "#5a7d00", "#7a5195", "#6b5320"];
  const DARK = ["#56b4e9", "#ff8a4c", "#2bc79b", "#e79ac4", "#f0b93a", "#c5e06a", "#b99bd6", "#c9a866"];
  const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "cross", "star", "triangle-down", "x", "pentagon"];
  const plot = document.getElementById("curves");
  const boxes = [...document.querySelectorAll("input[name=method]")];
  const units = [...document.querySelectorAll("input[name=unit]")];
  const places = new Map();
  for (const line of study.units[0].lines) if (line.name !== study.against) places.set(line.name, places.size);

  /** The other methods in colours, that which they are compared with in grey and dashed. */
  function style(name) {
    const place = places.get(name);
    if (place === undefined) return { color: alAgent.colour("--muted"), symbol: "circle-open", dash: "dash" };
    const palette = alAgent.isDark() ? DARK : LIGHT;
    const round = Math.floor(place / palette.length) % 2;
    return { color: palette[place % palette.length], symbol: SYMBOLS[place % SYMBOLS.length], dash: ["solid", "dot"][round] };
  }

  /** Text that Plotly, which reads some tags, shows as it is. */
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const hasBand = (line, at) => line.low[at] !== null && line.high[at] !== null;

  function band(line, look, alpha) {
    const known = line.x.map((_, at) => at).filter((at) => hasBand(line, at));
    const back = [...known].reverse();
    return {
      x: [...known, ...back].map((at) => line.x[at]), y: [...known.map((at) => line.high[at]), ...back.map((at) => line.low[at])],
      type: "scatter", mode: "lines", line: { width: 0 }, fill: "toself", fillcolor: `${look.color}${alpha}`, hoverinfo: "skip",
    };
  }

  function curve(line, look) {
    return {
      x: line.x, y: line.y, name: plain(line.name), type: "scatter", mode: "lines+markers",
      line: { color: look.color, width: 2.25, dash: look.dash }, marker: { color: look.color, symbol: look.symbol, size: 8 },
      customdata: line.x.map((_, at) => (hasBand(line, at) ? ` (${line.low[at].toFixed(4)} to ${line.high[at].toFixed(4)})` : "")),
      hovertemplate: "%{y:.4f}%{customdata}",
    };
  }

  async function draw() {
    const Plotly = await alAgent.whenPlotly();
    const unit = study.units[Number((units.find((one) => one.checked) ?? { value: 0 }).value)];
    const shown = unit.lines.filter((_, number) => boxes[number].checked);
    const looks = new Map(unit.lines.map((line) => [line, style(line.name)]));
    unit.lines.forEach((line, number) => {
      const swatch = boxes[number].parentElement.querySelector(".swatch");
      swatch.style.borderTopColor = looks.get(line).color;
      swatch.style.borderTopStyle = { solid: "solid", dash: "dashed", dot: "dotted" }[looks.get(line).dash];
    });
    const alpha = shown.length > 3 ? "14" : "26";
    const bands = shown.map((line) => band(line, looks.get(line), alpha));
    const curves = shown.map((line) => curve(line, looks.get(line)));
    const layout = alAgent.layout({
      hovermode: "x unified", hoverdistance: -1, margin: { l: 8, r: 16, t: 12, b: 8 },
      xaxis: { title: { text: plain(`labeled ${unit.unit}`) }, rangemode: "tozero" },
      yaxis: { title: { text: plain(study.figure) } },
    });
    await Plotly.react(plot, [...bands, ...curves], layout, { responsive: true, displaylogo: false, displayModeBar: false });
  }

  for (const control of [...boxes, ...units]) control.addEventListener("change", draw);
  for (const button of document.querySelectorAll("button[data-all]")) {
    button.addEventListener("click", () => {
      for (const box of boxes) box.checked = Boolean(button.dataset.all);
      draw();
    });
  }
  alAgent.onTheme(draw);
})();
