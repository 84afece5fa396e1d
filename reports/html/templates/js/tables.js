// Tables: drawn row by row from the figures, sorted by the column whose heading is pressed, a page at a time.
const FIRST = 50;
const STEP = 250;
const column = (key, title, value, cell = null, more = {}) => ({ key, title, value, cell: cell ?? ((row) => String(value(row) ?? "")), ...more });
const text = (key, title, value, cell = null) => column(key, title, value, cell, { text: true });
const method = (view, of = (row) => row.of) => text("method", "method", (row) => label(of(row), view), (row) => named(of(row), view));
const number = (key, title, value, write) => column(key, title, value, (row) => write(value(row)));
const small = (...children) => element("small", {}, ...children);
const faded = (line) => (line.stale ? "stale" : "");

function pointCell(row) {
  const point = row.at ?? row;
  return row.composed ? row.point : element("button", { type: "button", "aria-haspopup": "dialog", onclick: () => openPoint(point) }, point.point);
}

const TABLES = {
  budgets(view) {
    const rows = view.shown.map((of) => ({ of, at: new Map((budgetsOf.get(of.place) ?? []).map((one) => [one.share, one])) })).filter((row) => row.at.size);
    const cell = (one) => one ? [element("strong", {}, percent(one.accuracy)), " ", small(range(one.low, one.high, percent)), element("br"), small(`${one.point} · ${millions(one.macs)} MMACs`), element("br"), small(`picked on test ${percent(one.picked)} (${gain(one.picked - one.accuracy)})`)] : DASH;
    const shares = data.shares.map((share) => column(`at${100 * share}`, `${Math.round(100 * share)}% of plain, accuracy %`, (row) => row.at.get(share)?.accuracy, (row) => cell(row.at.get(share))));
    return { rows, columns: [method(view), ...shares], faint: (row) => faded(row.of) };
  },
  summary(view) {
    const rows = view.shown.map((of) => ({ of }));
    const of = (name) => (row) => row.of[name];
    const [numbers, texts] = [data.facts.filter(numeric), data.facts.filter((fact) => !numeric(fact))];
    const title = (fact) => fact.replaceAll("_", " ");
    return {
      rows, faint: (row) => faded(row.of),
      columns: [
        method(view), ...numbers.map((fact) => number(fact, title(fact), of(fact), count)), number("summary", "summary, accuracy %", of("summary"), percent),
        column("interval", "lowest–highest seed", of("low"), (row) => (row.of.seeds > 1 ? range(row.of.low, row.of.high, percent) : DASH)),
        number("picked", "picked on test %", of("picked"), percent), number("selected", "chosen points", of("selected"), count),
        number("seeds", "seeds", of("seeds"), count), number("training", "training MACs, × plain", of("training_cost"), times2),
        text("axis", "adjusts", of("axis")), text("decision", "decides", of("decision")), ...texts.map((fact) => text(fact, title(fact), of(fact))),
      ],
    };
  },
  versus(view) {
    const rows = versus.filter((row) => view.set.has(row.one) && view.set.has(row.other)).map((row) => (row.difference < 0 ? { ...row, one: row.other, other: row.one, difference: -row.difference, low: known(row.high) ? -row.high : null, high: known(row.low) ? -row.low : null, verdict: { first: "second", second: "first" }[row.verdict] ?? row.verdict } : row));
    const says = (row) => ({ first: `${label(row.one, view)} is better`, second: `${label(row.other, view)} is better` })[row.verdict] ?? (row.verdict.startsWith("fewer") ? `${row.verdict}: no claim` : row.verdict);
    return {
      rows, faint: (row) => (["first", "second"].includes(row.verdict) ? "" : "faint"),
      columns: [
        number("share", "budget, % of plain", (row) => row.share, fixed(0, 100)), text("one", "method", (row) => label(row.one, view), (row) => named(row.one, view)),
        text("other", "against", (row) => label(row.other, view), (row) => named(row.other, view)), number("difference", "difference, points", (row) => row.difference, gain),
        column("interval", "95% interval", (row) => row.low, (row) => (known(row.low) ? `${gain(row.low)} to ${gain(row.high)}` : DASH)),
        number("p", "p (Holm)", (row) => row.p_holm, (value) => (known(value) ? (value < 0.001 ? "< 0.001" : value.toFixed(3)) : DASH)),
        number("seeds", "seeds", (row) => row.seeds, count), text("verdict", "verdict", says),
      ],
    };
  },
  points(view) {
    const yes = (mark) => (row) => (has(row, mark) ? "yes" : "");
    const of = (name) => (row) => row[name];
    return {
      rows: points.filter((point) => view.set.has(point.of)), faint: (row) => faded(row.of) || (has(row, MARK.selected) ? "" : "faint"),
      columns: [
        method(view), text("point", "point", of("point"), pointCell), text("chosen", "chosen", yes(MARK.selected)), number("macs", "MMACs", of("macs"), millions),
        column("flops", "MFLOPs", (row) => 2 * row.macs, (row) => millions(2 * row.macs)), number("share", "% of plain", of("share"), percent),
        number("accuracy", "accuracy %", of("accuracy"), percent), column("interval", "95% interval", of("low"), (row) => range(row.low, row.high, percent)),
        number("samples", "images", of("samples"), count), text("decision", "decision", of("decision")), number("seed", "seed", of("seed"), count), number("parameters", "parameters", of("parameters"), count),
        text("frontier", "on test frontier", yes(MARK.onFrontier)), text("execution", "execution", (row) => (has(row, MARK.simulated) ? "simulated" : "executed")),
      ],
    };
  },
  realised(view) {
    const of = (name) => (row) => row[name];
    return {
      rows: realised.filter((row) => view.set.has(row.of)), faint: (row) => (row.doubtful ? "faint" : ""),
      columns: [
        method(view), text("decision", "decision", of("decision")), column("points", "points", of("points"), (row) => (row.left_out ? [String(row.points), " ", small(`of ${row.points + row.left_out}`)] : String(row.points))),
        number("median", "median", of("median"), two), number("least", "least", of("least"), two), number("enough", `at least ${data.limits.enough.toFixed(2)}`, of("enough"), count),
        text("cause", "mostly lost to", of("cause"), (row) => (row.lose ? [row.cause, " ", small(String(row.lose))] : row.cause)), text("condition", "measured", of("condition")),
      ],
    };
  },
  speedup(view) {
    const ranged = (value, low, high) => [two(value), " ", small(range(low, high, two))];
    return {
      rows: compared(view), faint: (row) => (row.flags || row.composed ? "faint" : ""),
      columns: [
        method(view), text("point", "point", (row) => row.point, pointCell), number("macs", "speed-up in MACs", (row) => 1 / row.share, two),
        column("time", "in time", (row) => 1 / row.ratio, (row) => ranged(1 / row.ratio, 1 / row.ratio_high, 1 / row.ratio_low)),
        column("realised", "realised", (row) => row.share / row.ratio, (row) => ranged(row.share / row.ratio, row.share / row.ratio_high, row.share / row.ratio_low)),
        text("cause", "lost to", (row) => row.cause, (row) => (known(row.cause_share) ? [row.cause, " ", small(`${Math.round(100 * row.cause_share)}%`)] : (row.cause ?? DASH))),
        number("peak", "peak MiB", (row) => row.peak, mib), text("flags", "flags", (row) => [row.composed ? "composed" : "", row.flags].filter(Boolean).join(" ")), text("condition", "measured", (row) => row.condition),
      ],
    };
  },
  latency(view) {
    const of = (name) => (row) => row[name];
    return {
      rows: times.filter((time) => view.set.has(time.of)), faint: (row) => (row.flags || row.composed ? "faint" : ""),
      columns: [
        method(view), text("point", "point", of("point"), pointCell), number("batch", "batch", of("batch"), count), number("p50", "p50 ms", of("p50"), ms),
        column("interval", "interval", of("low"), (row) => range(row.low, row.high, ms)), number("p90", "p90 ms", of("p90"), ms), number("p99", "p99 ms", of("p99"), ms), number("rate", "images/s", of("rate"), count),
        number("ratio", "time / plain", of("ratio"), times2), column("ratios", "interval", of("ratio_low"), (row) => range(row.ratio_low, row.ratio_high, times2)), number("share", "MACs / plain", of("share"), times2),
        number("peak", "peak MiB", of("peak"), mib), text("flags", "flags", of("flags")), text("execution", "execution", (row) => (row.composed ? "composed" : "executed")), text("condition", "where", (row) => `${row.scenario}, ${row.condition}`),
      ],
    };
  },
  controls(view) {
    const groups = groupedBy(controls.filter((row) => row.at && view.set.has(row.of)), (row) => row.at);
    const routed = [...groups].map(([at, own]) => ({ of: at.of, at, ...Object.fromEntries(own.map((row) => [row.kind, row.accuracy])) }));
    const oracles = controls.filter((row) => row.kind === "oracle" && view.set.has(row.of)).map((row) => ({ ...row, composed: true }));
    const accuracy = (row) => (row.at ?? row).accuracy;
    const over = (kind) => (row) => (known(row[kind]) ? accuracy(row) - row[kind] : null);
    return {
      rows: [...routed, ...oracles], routed, faint: (row) => (row.composed ? "faint" : ""),
      columns: [
        method(view), text("point", "point", (row) => (row.at ?? row).point, (row) => (row.composed ? `${row.point}: an upper bound, not achievable` : pointCell(row))), number("seed", "seed", (row) => (row.at ?? row).seed, count),
        number("macs", "MMACs", (row) => (row.at ?? row).macs, millions), number("accuracy", "accuracy %", accuracy, percent),
        number("random", "random %", (row) => row.random, percent), number("gain", "gain", over("random"), gain), number("mixture", "mixture %", (row) => row.mixture, percent), number("gains", "gain", over("mixture"), gain),
      ],
    };
  },
  runs(view) {
    const of = (name) => (row) => row[name];
    const here = new Set(view.here.flatMap((line) => [line.run, ...(pointsOf.get(line.place) ?? []).map((point) => point.run)]));
    return {
      rows: runs.filter((run) => here.has(run.place)), faint: () => "",
      columns: [
        text("name", "run", of("name"), (row) => (row.link ? element("a", { href: row.link }, row.name) : row.name)), text("dataset", "data set", of("dataset")), text("fingerprint", "test fingerprint", of("fingerprint")),
        text("training", "training", of("training")), text("seeds", "seeds", of("seeds")), text("machine", "machine", of("machine")), text("suite", "suite", of("suite")), text("torch", "torch", of("torch")), text("commit", "commit", of("commit")),
      ],
    };
  },
};
const budgetsOf = groupedBy(budgets, (row) => row.line);
const shownRows = {};

function compare(a, b) {
  if (!known(a) || !known(b)) return 0;
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sorted(rows, columns, order) {
  const by = columns.find((one) => one.key === order?.replace(/^-/, ""));
  if (!by) return rows;
  const sign = order.startsWith("-") ? -1 : 1;
  const missing = (row) => (known(by.value(row)) ? 0 : 1); // last, whichever way
  return [...rows].sort((a, b) => missing(a) - missing(b) || sign * compare(by.value(a), by.value(b)));
}

function tableRow(row, columns, faint) {
  const cells = columns.map((one, place) => {
    const cell = one.cell(row);
    const attributes = { class: one.text ? "text" : null, ...(place === 0 ? { scope: "row" } : {}) };
    return element(place === 0 ? "th" : "td", attributes, ...(Array.isArray(cell) ? cell : [cell]));
  });
  return element("tr", { class: faint(row) || null }, ...cells);
}

function drawTable(id, view) {
  const holder = byId(`table-${id}`);
  if (!holder) return;
  const { rows, columns, faint } = TABLES[id](view);
  const order = state.sort[id];
  const all = sorted(rows, columns, order);
  const caption = holder.dataset.caption;
  const sort = (one) => {
    state.sort[id] = order === one.key ? `-${one.key}` : one.key;
    writeState();
    drawTable(id, view);
    byId(`sort-${id}-${one.key}`).focus();
  };
  const heads = columns.map((one) => {
    const direction = order === one.key ? "ascending" : order === `-${one.key}` ? "descending" : null;
    const button = element("button", { type: "button", id: `sort-${id}-${one.key}`, onclick: () => sort(one) }, one.title);
    return element("th", { scope: "col", class: one.text ? "text" : null, "aria-sort": direction }, button);
  });
  const body = element("tbody");
  const shown = element("span");
  const more = element("button", { type: "button" }, "Show more");
  const extend = (upTo) => {
    const until = Math.min(upTo, all.length);
    body.append(...all.slice(body.rows.length, until).map((row) => tableRow(row, columns, faint)));
    shownRows[id] = until;
    shown.textContent = `${count(until)} of ${count(all.length)} rows`;
    more.hidden = until >= all.length;
  };
  more.addEventListener("click", () => extend(body.rows.length + STEP));
  extend(Math.max(FIRST, shownRows[id] ?? 0));
  const table = element("table", {}, element("caption", { class: "unseen" }, caption), element("thead", {}, element("tr", {}, ...heads)), body);
  const box = element("div", { class: "box tall", tabindex: "0", role: "region", "aria-label": caption }, table);
  const nothing = element("p", { class: "quiet" }, "Nothing that the filters leave.");
  const left = holder.querySelector(".box")?.scrollLeft ?? 0;
  holder.hidden = id === "versus" && !versus.length;
  holder.replaceChildren(...(all.length ? [box, ...(all.length > FIRST ? [element("div", { class: "more" }, shown, more)] : [])] : [nothing]));
  if (left) box.scrollLeft = left; // setting it lays the page out
}
