// The learning curve: what was measured, and how it may go on.
"use strict";
(() => {
  const { data, decode, colour, onTheme, whenPlotly, layout } = alAgent;
  const curve = data("curve");
  const [n, figures, ahead, low, middle, high] = ["n", "figures", "n_ahead", "low", "middle", "high"].map((key) => decode(curve[key]));
  const place = document.getElementById("curve-plot");

  function draw() {
    const [measured, expected] = [colour("--labeled"), colour("--picked")];
    const line = (y, more) => ({ type: "scatter", mode: "lines", x: ahead, y, line: { width: 0 }, hoverinfo: "skip", ...more });
    const traces = ahead.length ? [
      line(low),
      line(high, { fill: "tonexty", fillcolor: `${expected}2e` }),
      line(middle, { line: { color: expected, dash: "dash", width: 2 }, hovertemplate: "%{x:,.0f} labels: about %{y:.4g}<extra></extra>", hoverinfo: undefined }),
    ] : [];
    traces.push({
      type: "scatter", mode: "lines+markers", x: n, y: figures, line: { color: measured, width: 2 }, marker: { size: 8, color: measured },
      hovertemplate: "%{x:,.0f} labels: %{y:.4g}<extra></extra>",
    });
    Plotly.react(place, traces, layout({
      xaxis: { title: { text: "labels" }, tickformat: ",d" },
      yaxis: { title: { text: curve.name } },
      margin: { l: 8, r: 16, t: 8, b: 8 },
      dragmode: false,
      width: place.clientWidth,
      height: place.clientHeight,
    }), { displayModeBar: false });
  }

  whenPlotly().then(() => {
    onTheme(draw);
    new ResizeObserver(draw).observe(place);
  });
})();
