// Draws the charts from the JSON in the page. Nothing is loaded, and no text of the record is written as HTML.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const amount = (v, unit) => v == null ? "–" : v.toLocaleString("en-US", unit === "tokens" ? {} : {
    minimumFractionDigits: 2, maximumFractionDigits: Math.abs(v) < 1 ? 4 : 2 }) + " " + unit;
  const when = (t) => t == null ? "–" : new Date(t * 1000).toISOString().replace("T", " ").slice(0, 16) + " UTC";

  const short = (v) => v.toLocaleString("en-US", Math.abs(v) >= 1e5 ? { notation: "compact" } : {});

  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  // "12 Nov", within a day "14:00", at midnight the day again.
  const day = (t, step) => {
    const at = new Date(t * 1000), date = at.getUTCDate() + " " + MONTHS[at.getUTCMonth()];
    if (step >= 28 * 86400) return MONTHS[at.getUTCMonth()] + " " + at.getUTCFullYear();
    return step >= 86400 || t % 86400 === 0 ? date : at.toISOString().slice(11, 16);
  };

  // What the breaker would have held back, behind the curve; trips and warnings, before it.
  const marks = (chart) => ({
    hooks: {
      drawClear: [(u) => {
        const { left, top, width, height } = u.bbox;
        u.ctx.save();
        u.ctx.beginPath(); u.ctx.rect(left, top, width, height); u.ctx.clip();
        u.ctx.fillStyle = colour("held");
        for (const trip of chart.trips) {
          const from = u.valToPos(trip.t, "x", true);
          const to = trip.until == null ? left + width : u.valToPos(trip.until, "x", true);
          u.ctx.fillRect(from, top, Math.max(to - from, 2), height);
        }
        u.ctx.restore();
      }],
      draw: [(u) => {
        const { left, top, width, height } = u.bbox;
        const dpr = devicePixelRatio;
        u.ctx.save();
        u.ctx.beginPath(); u.ctx.rect(left, top, width, height); u.ctx.clip();
        const line = (trips, name, dash) => {
          u.ctx.strokeStyle = colour(name); u.ctx.lineWidth = 2 * dpr; u.ctx.setLineDash(dash);
          for (const trip of trips) {
            const x = u.valToPos(trip.t, "x", true);
            u.ctx.beginPath(); u.ctx.moveTo(x, top); u.ctx.lineTo(x, top + height); u.ctx.stroke();
          }
        };
        line(chart.other, "other", [6 * dpr, 4 * dpr]);
        line(chart.trips, "trip", []);
        const dot = (at, name) => {
          u.ctx.fillStyle = colour(name); u.ctx.strokeStyle = colour("card"); u.ctx.lineWidth = 1.5 * dpr;
          u.ctx.setLineDash([]); u.ctx.beginPath();
          u.ctx.arc(u.valToPos(at.t, "x", true), u.valToPos(at.sum, "y", true), 4.5 * dpr, 0, 2 * Math.PI);
          u.ctx.fill(); u.ctx.stroke();
        };
        chart.warnings.forEach((at) => dot(at, "warn"));
        chart.trips.forEach((at) => dot(at, "trip"));
        u.ctx.restore();
      }],
    },
  });

  const axis = (extra) => ({
    stroke: colour("soft"), font: "12px system-ui, sans-serif",
    grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 }, ...extra });

  const make = (place) => {
    const chart = data[Number(place.dataset.chart)];
    const most = Math.max(...chart.sum, ...chart.limit.filter((l) => l < 1e12), 0);
    const options = {
      width: Math.max(place.clientWidth, 240), height: 210,
      tzDate: (t) => uPlot.tzDate(new Date(t * 1000), "Etc/UTC"),
      cursor: { y: false, drag: { x: true, y: false } },
      scales: { y: { range: [0, most > 0 ? most * 1.08 : 1] } },
      plugins: [marks(chart)],
      series: [
        { label: "at", value: (u, v) => when(v) },
        { label: "spent", stroke: colour("spend"), fill: colour("fill"), width: 1.75, points: { show: false },
          value: (u, v) => amount(v, chart.unit) },
        { label: "limit", stroke: colour("limit"), width: 1.25, dash: [6, 4], points: { show: false },
          value: (u, v) => amount(v, chart.unit) },
      ],
      axes: [axis({ values: (u, all, at, space, step) => all.map((t) => day(t, step)) }), axis({ size: 64, values: (u, all) => all.map((v) => (chart.unit === "USD" ? "$" : "") + short(v)) })],
    };
    place.replaceChildren();
    const plot = new uPlot(options, [chart.t, chart.sum, chart.limit], place);
    place.plot = plot;
  };

  const places = [...document.querySelectorAll("[data-chart]")];
  const draw = () => places.forEach((place) => { if (place.offsetParent !== null) make(place); });
  draw();
  document.querySelectorAll("details").forEach((details) => details.addEventListener("toggle", () => {
    details.querySelectorAll("[data-chart]").forEach((place) => { if (details.open && !place.plot) make(place); });
  }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw, 150); });
})();
