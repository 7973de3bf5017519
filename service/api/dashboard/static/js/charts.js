// Curves of `data-chart`, by uPlot, which is loaded where there is one to draw.

const drawn = new Map();
let loading = null;

function load() {
  loading ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = new URL("../vendor/uplot.css", import.meta.url).href;
    const script = document.createElement("script");
    script.src = new URL("../vendor/uplot.js", import.meta.url).href;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(style, script);
  });
  return loading;
}

function color(figure, name) {
  // light-dark() is for the browser to resolve: ask it what it paints.
  const probe = figure.appendChild(document.createElement("i"));
  probe.hidden = true;
  probe.style.color = `var(--${name})`;
  const seen = getComputedStyle(probe).color;
  probe.remove();
  return seen;
}

function options(figure, about, width) {
  const quiet = color(figure, "quiet");
  const axis = {
    stroke: quiet,
    font: "12px system-ui",
    grid: { stroke: color(figure, "line"), width: 1 },
    ticks: { show: false },
  };
  const unit = about.unit ? ` ${about.unit}` : "";
  return {
    width,
    height: figure.querySelector(".plot").clientHeight,
    legend: { show: false },
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    scales: { y: { range: (plot, least, most) => [0, most > 0 ? most * 1.1 : 1] } },
    axes: [
      axis,
      { ...axis, size: 56, values: (plot, ticks) => ticks.map((tick) => `${tick.toLocaleString()}${unit}`) },
    ],
    series: [
      {},
      ...about.series.map((one) => ({
        label: one.label,
        stroke: color(figure, one.kind ?? "accent"),
        width: 1.5,
        points: { show: false },
      })),
    ],
  };
}

function draw(figure) {
  const place = figure.querySelector(".plot");
  const text = figure.dataset.chart;
  const before = drawn.get(figure);
  if (before?.text === text && before.width === place.clientWidth) return;
  const about = JSON.parse(text);
  before?.plot.destroy();
  const data = [about.times, ...about.series.map((one) => one.values)];
  const plot = new uPlot(options(figure, about, place.clientWidth), data, place);
  drawn.set(figure, { plot, text, width: place.clientWidth });
}

async function drawAll() {
  const figures = document.querySelectorAll("[data-chart]");
  if (!figures.length) return;
  await load();
  figures.forEach(draw);
}

export function drawCharts() {
  drawAll();
  document.addEventListener("htmx:after:swap", drawAll);
  addEventListener("resize", drawAll);
  document.addEventListener("themechange", () => {
    for (const { plot } of drawn.values()) plot.destroy();
    drawn.clear();
    drawAll();
  });
}
