// Speed-up in time against speed-up in MACs, both over the plain network, of one condition.
function compared(view) {
  return times.filter((time) => view.set.has(time.of) && known(time.ratio) && known(time.share) && time.of.method !== "plain");
}

function speedRow(time, view) {
  return {
    x: 1 / time.share, y: 1 / time.ratio, low: 1 / time.ratio_high, high: 1 / time.ratio_low, colour: time.of.colour ?? GREY,
    shape: time.of.shapes[time.composed ? "per-sample" : time.at.decision], fill: time.flags || time.composed ? 0 : 1,
    place: time.at?.place, series: label(time.of, view), point: time.point, p50: ms(time.p50), macs: times2(1 / time.share),
    time: `${times2(1 / time.ratio)} (${range(1 / time.ratio_high, 1 / time.ratio_low, two)})`, realised: two(time.share / time.ratio),
    cause: time.cause ?? DASH, flags: [time.composed ? "composed" : "", time.flags].filter(Boolean).join(" ") || "none",
  };
}

const SPEED_TIPS = { series: "method", point: "point", p50: "p50 ms", macs: "speed-up in MACs", time: "in time", realised: "realised", cause: "lost to", flags: "flags" };

function drawSpeedup(view) {
  const holder = byId("chart-speedup");
  if (!holder) return;
  const rows = compared(view).filter((time) => time.condition === state.condition).map((time) => speedRow(time, view));
  if (!rows.length) {
    release(holder);
    holder.textContent = "Nothing that the filters leave was timed beside a plain network under this condition.";
    return;
  }
  const reach = (values) => [Math.min(1, ...values) / 1.05, Math.max(1, ...values) * 1.05];
  const domain = { x: reach(rows.map((row) => row.x)), y: reach(rows.flatMap((row) => [row.low, row.high])) };
  const ratio = (field, what) => ({
    field, type: "quantitative", title: `Speed-up over plain in ${what}`, scale: { type: "log", domain: domain[field], nice: false },
    axis: { values: logTicks(...domain[field]), labelExpr: "format(datum.value, '~g') + '×'", labelOverlap: true },
  });
  const [x, y] = [ratio("x", "MACs"), ratio("y", "time")];
  const follows = (part, dash) => ({
    data: { values: domain.x.map((end) => ({ x: end, y: part * end })) },
    mark: { type: "line", color: GREY, strokeDash: dash, strokeWidth: 1, clip: true }, encoding: { x, y },
  });
  const colour = { field: "colour", type: "nominal", scale: null };
  const layer = [
    follows(1, [2, 3]),
    follows(data.limits.enough, [1, 5]),
    { data: { values: rows }, mark: { type: "rule", strokeWidth: 1, opacity: 0.4 }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color: colour } },
    {
      data: { values: rows }, mark: { type: "point", size: 65, strokeWidth: 1.4, opacity: 0.85, cursor: "pointer" },
      encoding: {
        x, y, stroke: colour, fill: colour, fillOpacity: { field: "fill", type: "quantitative", scale: null }, shape: { field: "shape", type: "nominal", scale: null },
        tooltip: Object.entries(SPEED_TIPS).map(([field, title]) => ({ field, title, type: "nominal" })),
      },
    },
  ];
  const spec = { $schema: "https://vega.github.io/schema/vega-lite/v6.json", width: "container", height: 340, autosize: { type: "fit-x", contains: "padding" }, layer };
  embed(holder, spec, (datum) => known(datum.place) && openPoint(points[datum.place]));
}
