// What the scripts of all pages share: data, colours, Plotly after the first paint, the theme, copying.
"use strict";
const alAgent = (() => {
  const root = document.documentElement;
  const arrays = {
    i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array, f4: Float32Array, f8: Float64Array,
  };
  const themed = [];
  let plotly = null;

  /** The value of <script id="data-NAME">; null where the page has none. */
  function data(name) {
    const element = document.getElementById(`data-${name}`);
    return element ? JSON.parse(element.textContent) : null;
  }

  /** A typed array out of {dtype, bdata}. */
  function decode(packed) {
    const bytes = Uint8Array.from(atob(packed.bdata), (letter) => letter.charCodeAt(0));
    return new arrays[packed.dtype](bytes.buffer);
  }

  /** The value of a custom property of the style, such as "--ink". */
  function colour(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  /** Calls back at once, and whenever the page becomes light or dark. */
  function onTheme(draw) {
    themed.push(draw);
    draw();
  }

  /** Starts Plotly after the first paint; resolves to it. */
  function whenPlotly() {
    plotly ??= new Promise((resolve) => {
      requestAnimationFrame(() => setTimeout(() => {
        const script = document.createElement("script");
        script.textContent = document.getElementById("plotly-source").textContent;
        document.head.append(script);
        resolve(window.Plotly);
      }));
    });
    return plotly;
  }

  /** A layout in the colours and the letters of the page. */
  function layout(more) {
    const axis = { gridcolor: colour("--line"), linecolor: colour("--line"), zeroline: false, automargin: true };
    return {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("--muted") },
      margin: { l: 8, r: 8, t: 8, b: 8 },
      hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
      showlegend: false,
      ...more,
      xaxis: { ...axis, ...more.xaxis },
      yaxis: { ...axis, ...more.yaxis },
    };
  }

  /** Says a sentence to screen readers, and to eyes for a moment. */
  function say(text) {
    const line = document.querySelector(".said");
    line.textContent = text;
    line.classList.add("seen");
    clearTimeout(say.timer);
    say.timer = setTimeout(() => line.classList.remove("seen"), 2500);
  }

  /** Puts a text on the clipboard: also where the page is a file or stands in a frame. */
  async function copy(text, what) {
    let done = false;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch {
      const field = document.createElement("textarea");
      field.value = text;
      document.body.append(field);
      field.select();
      done = document.execCommand("copy");
      field.remove();
    }
    say(done ? `${what} copied` : "Not copied: this browser does not let a page do it");
  }

  function isDark() {
    return (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  }

  function redraw() {
    const button = document.querySelector("button.theme");
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Show this page in light colours" : "Show this page in dark colours");
    for (const draw of themed) draw();
  }

  function start() {
    const button = document.querySelector("button.theme");
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      redraw();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    let before;
    addEventListener("beforeprint", () => {
      before = root.dataset.theme;
      root.dataset.theme = "light";
      root.classList.add("printing");
      for (const fold of document.querySelectorAll("details:not([open])")) {
        fold.open = true;
        fold.dataset.opened = "";
      }
      redraw();
    });
    addEventListener("afterprint", () => {
      root.classList.remove("printing");
      if (before === undefined) delete root.dataset.theme;
      else root.dataset.theme = before;
      for (const fold of document.querySelectorAll("details[data-opened]")) {
        fold.open = false;
        delete fold.dataset.opened;
      }
      redraw();
    });
    for (const one of document.querySelectorAll("button[data-copy]")) {
      one.hidden = false;
      one.addEventListener("click", () => copy(document.getElementById(one.dataset.copy).textContent, "Text"));
    }
    // what scrolls sideways can be reached by the keyboard; what does not is no stop
    const watch = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        const scrolls = target.scrollWidth > target.clientWidth;
        for (const [name, value] of [["tabindex", "0"], ["role", "group"], ["aria-label", "A table that scrolls sideways"]]) {
          if (scrolls) target.setAttribute(name, value);
          else target.removeAttribute(name);
        }
      }
    });
    for (const one of document.querySelectorAll(".scroll:not(.more)")) watch.observe(one);
    redraw();
  }

  start();
  return { data, decode, colour, onTheme, whenPlotly, layout, say, copy, isDark };
})();
