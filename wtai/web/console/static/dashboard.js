// Draws the dashboard's charts from the tables beside them: what is drawn is what is read.
"use strict";

(() => {
  const HEIGHT = 220;
  const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];
  const language = document.documentElement.lang;
  const views = new Map(); // what was chosen to be seen: it outlives a refresh of the figures
  const drawn = new Map();
  const count = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
  const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });
  const dollars = new Intl.NumberFormat(language, { style: "currency", currency: "USD", maximumSignificantDigits: 3 });

  const UNITS = {
    count: (value) => count.format(value),
    share: (value) => share.format(value),
    dollars: (value) => dollars.format(value / 1e6),
    wait: (value) => {
      const seconds = value / 1000;
      if (seconds < 60) return `${count.format(seconds)} s`;
      return seconds < 3600 ? `${count.format(seconds / 60)} min` : `${count.format(seconds / 3600)} h`;
    },
  };

  const S = 1000, M = 60 * S, H = 60 * M;
  const STEPS = {
    wait: [S, 2 * S, 5 * S, 10 * S, 20 * S, 30 * S, M, 2 * M, 5 * M, 10 * M, 15 * M, 30 * M, H, 2 * H, 4 * H, 6 * H, 12 * H, 24 * H, 48 * H, 96 * H],
    count: Array.from({ length: 27 }, (_, at) => [1, 2, 5][at % 3] * 10 ** Math.floor(at / 3)),
  };

  // A colour as the theme in force has it: canvases know nothing of variables.
  function colour(name) {
    const probe = document.createElement("span");
    probe.className = name;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  function read(table) {
    const heads = [...table.tHead.rows[0].cells];
    const rows = [...table.tBodies[0].rows];
    const series = heads.map((head, column) => ({ head, column })).filter(({ head }) => head.dataset.unit);
    return {
      title: heads[0].textContent,
      labels: rows.map((row) => row.cells[0].textContent),
      unit: series[0].head.dataset.unit,
      series: series.map(({ head, column }, index) => ({
        title: head.textContent,
        colour: `series-${head.dataset.key}` in NAMED ? `series-${head.dataset.key}` : `series-${(index % 6) + 1}`,
        values: rows.map((row) => (row.cells[column].dataset.value ? Number(row.cells[column].dataset.value) : null)),
        texts: rows.map((row) => row.cells[column].textContent),
      })),
    };
  }
  const NAMED = Object.fromEntries(
    ["user", "agent", "staff", "system", "opened", "ended", "median", "p90", "share"].map((key) => [`series-${key}`, true]),
  );

  function options(kind, data, width) {
    const axis = colour("axis");
    const grid = { stroke: colour("grid"), width: 1 };
    const font = "12px system-ui, sans-serif";
    const ticks = { show: false };
    const bars = uPlot.paths.bars({ size: [0.72, 48] });
    const ground = colour("ground");
    const stacked = kind === "stacked";
    const last = data.labels.length - 1;
    return {
      width,
      height: HEIGHT,
      padding: [10, 10, 0, 0],
      scales: {
        x: { time: false, range: stacked ? [-0.6, last + 0.6] : [-0.3, last + 0.3] },
        y: { range: (_, low, high) => [0, data.unit === "share" ? 1 : high > 0 ? high * 1.08 : 1] },
      },
      cursor: { drag: { x: false, y: false }, points: { show: !stacked } },
      legend: { live: true },
      axes: [
        { stroke: axis, font, ticks, grid: { show: false }, space: 52, incrs: [1, 2, 3, 4, 5, 7, 10, 14, 15, 30],
          values: (_, splits) => splits.map((at) => (Number.isInteger(at) ? data.labels[at] ?? "" : "")) },
        { stroke: axis, font, ticks, grid, size: (_, values) => 14 + 7 * Math.max(4, ...(values ?? []).map((value) => value.length)), space: 36, ...(STEPS[data.unit] ? { incrs: STEPS[data.unit] } : {}),
          values: (_, splits) => splits.map(UNITS[data.unit]) },
      ],
      series: [
        { label: data.title, value: (_, at) => (at === null ? "–" : data.labels[at]) },
        ...data.series.map((one, index) => {
          const drawn = colour(one.colour);
          const told = (_, __, ___, at) => (at === null ? "" : one.texts[at]);
          if (stacked) return { label: one.title, stroke: ground, width: 1, fill: drawn, paths: bars, points: { show: false }, value: told };
          const points = { show: last < 32, size: 5, fill: drawn, stroke: drawn };
          return { label: one.title, stroke: drawn, width: 2, dash: DASHES[index % 4], points, spanGaps: true, value: told };
        }),
      ],
    };
  }

  // The largest sum is drawn first, and what is below it over it. The legend keeps the order and the values of the table.
  function stack(data) {
    const sums = data.labels.map(() => 0);
    const upTo = data.series.map((one) => one.values.map((value, at) => (sums[at] += value ?? 0)));
    return { data: { ...data, series: [...data.series].reverse() }, values: upTo.reverse() };
  }

  function draw(card) {
    const plot = card.querySelector(".plot");
    drawn.get(card.dataset.card)?.destroy();
    drawn.delete(card.dataset.card);
    if (card.dataset.view !== "chart" || !plot.clientWidth) return;
    const kind = card.querySelector("table").dataset.chart;
    const data = read(card.querySelector("table"));
    const shown = kind === "stacked" ? stack(data) : { data, values: data.series.map((one) => one.values) };
    plot.replaceChildren();
    const chart = new uPlot(options(kind, shown.data, plot.clientWidth), [data.labels.map((_, at) => at), ...shown.values], plot);
    drawn.set(card.dataset.card, chart);
    // What is drawn first is read last.
    if (kind === "stacked") {
      chart.root.querySelectorAll(".u-series").forEach((row, at) => { row.style.order = at === 0 ? "0" : String(shown.values.length - at + 1); });
    }
  }

  function show(card, view) {
    card.dataset.view = view;
    card.querySelector("[data-twin]").setAttribute("aria-pressed", String(view === "table"));
    const twin = card.querySelector(".twin");
    if (view === "table") twin.tabIndex = 0;
    else twin.removeAttribute("tabindex");
    draw(card);
  }

  const cards = () => document.querySelectorAll("[data-card][data-view]");
  function drawAll() {
    for (const card of cards()) show(card, views.get(card.dataset.card) ?? "chart");
  }

  document.addEventListener("click", (event) => {
    const toggle = event.target.closest("[data-twin]");
    if (!toggle) return;
    const card = toggle.closest("[data-card]");
    views.set(card.dataset.card, card.dataset.view === "chart" ? "table" : "chart");
    show(card, views.get(card.dataset.card));
  });
  document.addEventListener("htmx:after:swap", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (width === innerWidth) return;
    width = innerWidth;
    drawAll();
  });
  drawAll();
})();
