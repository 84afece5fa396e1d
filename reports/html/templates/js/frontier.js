// Accuracy against cost as a Vega-Lite chart, of the series that the filters leave.
const MOST_DRAWN = 20;
const GREY = "#808080";
const AXES = {
  macs: "MMACs per image, mean (log scale; FLOPs = 2 × MACs)",
  memory: "MiB (log scale): stored weights, and where measured the peak of a call beside them",
};

/** Round numbers from low to high for a log axis: evenly spaced where the range is narrow. */
function logTicks(low, high) {
  if (high / low < 4) {
    const raw = (high - low) / 6;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = unit * [1, 2, 5, 10].find((factor) => unit * factor >= raw);
    const ticks = [];
    for (let place = Math.ceil(low / step); place * step <= high; place++) ticks.push(Number((place * step).toPrecision(12)));
    return ticks;
  }
  let ticks = [];
  for (const steps of [[1], [1, 2, 5], [1, 1.5, 2, 2.5, 3, 4, 5, 7]]) {
    ticks = [];
    for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)); power++) {
      for (const step of steps) ticks.push(Number((step * 10 ** power).toPrecision(12)));
    }
    ticks = ticks.filter((tick) => tick >= low && tick <= high);
    if (ticks.length >= 5) break;
  }
  return ticks;
}

/** The step line through points of a series, mean over seeds: `[{x, y, low, high}]`, from where all seeds have one.
 * `low` and `high`: the interval of the one seed, or the lowest and the highest of several. */
function steps(own, cost) {
  const seeds = [...groupedBy(own, (point) => point.seed).values()].map((rows) =>
    rows.map((point) => ({ point, x: cost(point)?.x })).filter((row) => known(row.x)).sort((a, b) => a.x - b.x),
  ).filter((rows) => rows.length);
  if (!seeds.length) return [];
  const begin = Math.max(...seeds.map((rows) => rows[0].x));
  return unique(seeds.flatMap((rows) => rows.map((row) => row.x)).filter((x) => x >= begin)).sort((a, b) => a - b).map((x) => {
    const at = seeds.map((rows) => rows.findLast((row) => row.x <= x).point);
    const heights = at.map((point) => 100 * point.accuracy);
    const one = at.length === 1;
    return {
      x, y: heights.reduce((sum, y) => sum + y, 0) / heights.length,
      low: one ? 100 * at[0].low : Math.min(...heights), high: one ? 100 * at[0].high : Math.max(...heights),
    };
  });
}

function drawnLines(view) {
  const ranked = [...view.adjustable].sort((a, b) => (b.summary ?? -1) - (a.summary ?? -1));
  return ranked.slice(0, MOST_DRAWN);
}

/** The rows of every layer of the chart. */
function frontierRows(view) {
  const cost = costs();
  const on = layers(view);
  const shownLines = drawnLines(view);
  const rows = { steps: [], bands: [], marks: [], plain: [], family: [], controls: [], oracles: [], budgets: [] };
  for (const line of shownLines) {
    const own = pointsOf.get(line.place) ?? [];
    const path = steps(own.filter((point) => has(point, MARK.selected)), cost);
    rows.steps.push(...path.map((step) => ({ x: step.x, y: step.y, series: label(line, view), colour: line.colour, opacity: line.stale ? 0.3 : 0.9 })));
    if (on.has("bands") && path.length > 1) rows.bands.push(...path.map((step) => ({ ...step, series: label(line, view), colour: line.colour })));
    rows.marks.push(...own.map((point) => mark(point, cost, view, on)).filter(Boolean));
  }
  const family = view.family.flatMap((line) => pointsOf.get(line.place) ?? []);
  if (on.has("family")) {
    rows.plain.push(...family.map((point) => mark(point, cost, view, on)).filter(Boolean));
    for (const [place, own] of groupedBy(family, (point) => `${point.of.backbone} ${point.of.training} ${point.of.dataset}`)) {
      rows.family.push(...steps(own.filter((point) => has(point, MARK.inFamily)), cost).map((step) => ({ ...step, series: place })));
    }
  }
  if (state.cost === "macs") controlRows(rows, on, new Set(shownLines));
  return rows;
}

function mark(point, cost, view, on) {
  const selected = has(point, MARK.selected);
  const at = cost(point);
  if (!at || (!selected && !on.has("pale"))) return null;
  const line = point.of;
  const seeds = line.seeds > 1;
  const facts = pointFacts(point);
  const run = runs[point.run];
  return {
    x: at.x, y: 100 * point.accuracy, place: point.place, colour: line.colour, shape: line.shapes[point.decision] ?? "circle",
    size: selected ? 75 : 24, opacity: (selected ? (seeds ? 0.55 : 1) : seeds ? 0.25 : 0.4) * (line.stale ? 0.4 : 1),
    fill: at.hollow ? 0 : 1, series: label(line, view), point: facts.point, decision: facts.decision, seed: String(facts.seed),
    accuracy: facts["accuracy %"], macs: facts.MMACs, chosen: facts.chosen,
    cost: at.time ? `${ms(at.time.p50)} ms (${range(at.time.low, at.time.high, ms)})${at.time.flags ? ", flagged: " + at.time.flags : ""}` : facts.memory,
    select: pickCommand(point) ?? (run.folder ? "by name: press it" : DASH),
  };
}

function controlRows(rows, on, shown) {
  for (const control of controls) {
    if (!shown.has(control.of) || !on.has(control.kind)) continue;
    const row = { x: control.macs / 1e6, y: 100 * control.accuracy, kind: control.kind, series: control.of.name, group: `${control.line} ${control.seed} ${control.kind}`, colour: control.of.colour };
    (control.kind === "oracle" ? rows.oracles : rows.controls).push(row);
  }
}

/** Where the axis may begin: what lies far below three in four of the chosen points would press the others together. */
function floorOf(rows, top) {
  const chosen = [...rows.steps, ...rows.plain].map((row) => row.y).sort((a, b) => b - a);
  const usual = chosen[Math.floor(0.75 * (chosen.length - 1))] ?? top;
  return top - Math.max(2.5 * (top - usual), 2);
}

/** The domain of the costs, and thin lines at the shares of the plain MACs that the tables use. */
function extent(rows, view) {
  const all = [...rows.marks, ...rows.plain, ...rows.controls, ...rows.oracles];
  const xs = all.map((row) => row.x);
  const ys = [...all.map((row) => row.y), ...rows.bands.flatMap((row) => [row.low, row.high])];
  const [low, high] = [Math.min(...xs) / 1.06, Math.max(...xs) * 1.06];
  const top = Math.max(...ys);
  const bottom = layers(view).has("whole") ? Math.min(...ys) : Math.max(Math.min(...ys), floorOf(rows, top));
  rows.below = all.filter((row) => row.y < bottom).length;
  const pad = Math.max(0.05 * (top - bottom), 0.3);
  const plain = unique(view.here.map((line) => line.plain_macs).filter(known));
  if (state.cost === "macs" && plain.length === 1) {
    rows.budgets = data.shares.map((share) => ({ x: (share * plain[0]) / 1e6, label: `${Math.round(100 * share)}%` })).filter((row) => row.x >= low && row.x <= high);
    if (rows.budgets.length && window.innerWidth >= 640) rows.budgets.at(-1).label += " of plain";
  }
  for (const [place, path] of groupedBy(rows.family, (row) => row.series)) {
    if (path.length) rows.family.push({ ...path.at(-1), x: high, series: place });
  }
  return { x: [low, high], y: [Math.max(0, bottom - pad), Math.min(100, top + pad)] };
}

const TIPS = {
  series: "method", point: "point", decision: "decision", seed: "seed", accuracy: "accuracy %", macs: "MMACs", cost: "cost", chosen: "chosen", select: "select it",
};

function frontierSpec(rows, domain) {
  const ink = data.themes[scheme()].axis.labelColor;
  const axis = AXES[state.cost] ?? `p50 ms a batch (log scale): ${state.condition}`;
  const narrow = window.innerWidth < 640;
  const x = {
    field: "x", type: "quantitative", title: narrow ? axis.replace(/[,:(] .*/, "") : axis, scale: { type: "log", domain: domain.x, nice: false },
    axis: { values: logTicks(...domain.x), format: "~g", labelFlush: false, labelOverlap: true },
  };
  const y = { field: "y", type: "quantitative", title: "Accuracy on test images, %", scale: { domain: domain.y, nice: false, zero: false } };
  const colour = { field: "colour", type: "nominal", scale: null };
  const opacity = { field: "opacity", type: "quantitative", scale: null };
  const dots = {
    x, y, opacity, shape: { field: "shape", type: "nominal", scale: null }, size: { field: "size", type: "quantitative", scale: null },
    fillOpacity: { field: "fill", type: "quantitative", scale: null },
    tooltip: Object.entries(TIPS).map(([field, title]) => ({ field, title, type: "nominal" })),
  };
  const layer = (name, { mark: drawn, ...made }) => ({ data: { values: rows[name] }, mark: { clip: name !== "budgets", ...drawn }, ...made });
  const found = [
    layer("budgets", { mark: { type: "rule", color: GREY, strokeWidth: 0.8, strokeDash: [1, 3] }, encoding: { x } }),
    layer("budgets", { mark: { type: "text", dy: -7, baseline: "bottom", fontSize: 11, color: GREY }, encoding: { x, y: { value: 0 }, text: { field: "label", type: "nominal" } } }),
    layer("bands", { mark: { type: "area", interpolate: "step-after", opacity: 0.13, clip: true }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color: colour, detail: { field: "series", type: "nominal" } } }),
    layer("family", { mark: { type: "line", interpolate: "step-after", color: ink, strokeWidth: 2.2, strokeDash: [7, 4], clip: true }, encoding: { x, y, detail: { field: "series", type: "nominal" } } }),
    ...["random", "mixture"].map((kind) => ({
      data: { values: rows.controls.filter((row) => row.kind === kind) },
      mark: { type: "line", clip: true, strokeWidth: 1.3, strokeDash: kind === "random" ? [2, 3] : [7, 4], opacity: 0.75 },
      encoding: { x, y, color: colour, detail: { field: "group", type: "nominal" } },
    })),
    layer("oracles", { mark: { type: "point", shape: "diamond", size: 70, strokeWidth: 1.6, filled: false }, encoding: { x, y, color: colour } }),
    layer("oracles", { mark: { type: "text", dx: 9, align: "left", fontSize: 11, color: GREY }, encoding: { x, y, text: { field: "label", type: "nominal" } } }),
    layer("steps", { mark: { type: "line", interpolate: "step-after", strokeWidth: 1.8 }, encoding: { x, y, color: colour, opacity, detail: { field: "series", type: "nominal" } } }),
    layer("plain", { mark: { type: "point", shape: "cross", strokeWidth: 1.2, color: ink, fill: ink, cursor: "pointer" }, encoding: { ...dots, shape: { value: "cross" }, size: { value: narrow ? 60 : 95 } } }),
    layer("marks", { mark: { type: "point", strokeWidth: 1.4, cursor: "pointer" }, encoding: { ...dots, stroke: colour, fill: colour } }),
  ];
  return { $schema: "https://vega.github.io/schema/vega-lite/v6.json", width: "container", height: narrow ? 320 : 440, autosize: { type: "fit-x", contains: "padding" }, layer: found.filter((one) => one.data.values.length), resolve: { scale: { shape: "independent" } } };
}

function drawFrontier(view) {
  const rows = frontierRows(view);
  const drawn = drawnLines(view).length;
  const holder = byId("chart-frontier");
  const notes = [`Large marks and step lines: points chosen on calibration images (select), reported on test${layers(view).has("pale") ? "; small pale marks: the other points" : ""}.`];
  if (view.adjustable.length > drawn) notes.push(`Drawn are the ${drawn} series with the best summaries, of ${count(view.adjustable.length)}: tick methods to see others.`);
  notes.push(view.adjustable.some((line) => line.seeds > 1) ? "Lines are means over seeds, marks are single seeds; bands are the lowest and highest seed, of one seed the 95% interval over test images." : "Bands are 95% intervals over test images; they say nothing of other trainings (one seed).");
  if (layers(view).has("family") && rows.family.length) notes.push("Broken line and crosses: plain networks of fixed cost, the line to beat.");
  if (state.cost === "time") notes.push("The step line joins the points chosen by their MACs. Hollow: flagged timings, not to be relied on. Points that were not timed are not drawn.");
  if (state.cost === "memory") notes.push("Filled: stored weights and the most bytes alive at once in a call at the smallest batch measured. Hollow: stored weights alone; no peak was measured.");
  if (state.cost !== "macs" && ["random", "mixture", "oracle"].some((name) => layers(view).has(name))) notes.push("Controls have no measured cost: they are drawn over MACs only.");
  notes.push("Point at a mark for its settings, press it for the command and the Python that load it (the same are in the table of operating points).");
  byId("frontier-note").textContent = notes.join(" ");
  if (!rows.marks.length && !rows.plain.length) {
    release(holder);
    holder.textContent = "No point that the filters leave has this cost.";
    return;
  }
  for (const row of rows.oracles) row.label = `${row.series}: oracle`;
  const domain = extent(rows, view);
  if (rows.below) notes.unshift(`${count(rows.below)} marks lie below the axis: tick “${LAYERS.whole}” to see them.`);
  byId("frontier-note").textContent = notes.join(" ");
  embed(holder, frontierSpec(rows, domain), (datum) => openPoint(points[datum.place]));
}
