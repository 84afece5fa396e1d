// Puts the page together: filters, charts and tables follow the state, and the state follows them.
const views = new Map(); // chart -> the promise of its drawing

function release(holder) {
  views.get(holder)?.then((made) => made?.finalize());
  views.delete(holder);
  holder.replaceChildren();
}

function embed(holder, spec, onPoint) {
  release(holder);
  const config = { ...data.themes[scheme()], background: "transparent" };
  if (window.innerWidth < 640) config.axis = { ...config.axis, labelFontSize: 11, titleFontSize: 11 };
  const inner = element("div", { class: "chart" });
  holder.append(inner);
  const tooltip = { theme: scheme() };
  const made = vegaEmbed(inner, spec, { config, renderer: "svg", actions: false, tooltip, ast: false });
  views.set(holder, made);
  made.then((result) => result.view.addEventListener("click", (_, item) => item?.datum && known(item.datum.place) && onPoint(item.datum)));
}

function change(edit) {
  edit();
  writeState();
  draw();
}

const toggled = (values, value) => (values.includes(value) ? values.filter((one) => one !== value) : [...values, value]);

function tick(name, value, checked, onchange, ...children) {
  return element("label", {}, element("input", { type: "checkbox", name, value, checked, onchange }), ...children);
}

function pickOne(name, title, values, value, onchange) {
  const options = values.map((one) => element("option", { value: one, selected: one === value }, one === ALL ? "all (not compared at equal cost)" : one));
  return element("label", {}, title, element("select", { name, id: `one-${name}`, onchange: (event) => onchange(event.target.value) }, ...options));
}

function drawFilters(view) {
  const focused = document.activeElement;
  const [name, value] = [focused?.name, focused?.value];
  const costs = { macs: "MACs", ...(conditions.length ? { time: "Latency" } : {}), memory: "Memory" };
  const radios = Object.entries(costs).map(([key, title]) =>
    element("label", {}, element("input", { type: "radio", name: "cost", value: key, checked: state.cost === key, onchange: () => change(() => (state.cost = key)) }), title));
  byId("cost").replaceChildren(byId("cost").firstElementChild, ...radios);
  byId("condition-label").hidden = state.cost !== "time";
  byId("one").replaceChildren(...Object.entries(ONE).flatMap(([key, title]) => {
    const values = [...options(key).keys()];
    if (values.length < 2) return [];
    return [pickOne(key, title, key === "dataset" ? values : [...values, ALL], view.place[key], (one) => change(() => (state.one[key] = one)))];
  }));
  byId("many").replaceChildren(...Object.entries(MANY).flatMap(([key, title]) => {
    const values = unique(view.here.map((line) => String(line[key] ?? "")));
    if (values.length < 2) return [];
    const chips = values.map((one) => tick(key, one, state.many[key].includes(one), () => change(() => (state.many[key] = toggled(state.many[key], one))), one || "not stated"));
    return [element("fieldset", { class: "chips" }, element("legend", {}, title), ...chips)];
  }));
  const methods = unique(view.here.map((line) => line.name));
  const first = new Map(view.here.map((line) => [line.name, line]));
  const chips = methods.map((one) => tick("method", one, state.many.name.includes(one), () => change(() => (state.many.name = toggled(state.many.name, one))), dot(first.get(one)), one));
  byId("methods").replaceChildren(byId("methods").firstElementChild, ...chips);
  byId("methods").hidden = methods.length < 2;
  const on = layers(view);
  const kinds = new Set(controls.map((row) => row.kind));
  const drawable = Object.keys(LAYERS).filter((key) => !["random", "mixture", "oracle"].includes(key) || kinds.has(key));
  const boxes = drawable.map((key) => tick("layers", key, on.has(key), () => change(() => (state.layers = toggled([...on], key))), LAYERS[key]));
  byId("layers").replaceChildren(byId("layers").firstElementChild, ...boxes);
  if (state.layers || Object.entries(state.many).some(([key, values]) => key !== "name" && values.length)) byId("finer").open = true;
  if (name) [...byId("filters").querySelectorAll("input, select")].find((one) => one.name === name && (one.value === value || one.type !== "checkbox" ) && (one.type !== "radio" || one.value === value))?.focus();
  const kept = points.filter((point) => view.set.has(point.of)).length;
  byId("count").textContent = `${count(view.shown.length)} of ${count(lines.length)} series, ${count(kept)} points shown`;
}

/** The plain network of the family that calibration images choose at a share of the plain MACs; undefined: none. */
const familyAt = (share, view) => familyBudgets.find((row) => row.share === share && Object.keys(ONE).every((name) => row[name] === view.place[name]));

function drawWinners(view) {
  const together = view.place.backbone !== ALL && view.place.training !== ALL;
  byId("h-winners").parentElement.hidden = !together;
  if (!together) return (byId("frontier-words").textContent = "Several backbones or trainings are shown together: they have no common budget.");
  const said = [];
  const cards = data.shares.map((share) => {
    const ranked = view.adjustable.filter((line) => !line.stale).flatMap((line) => (budgetsOf.get(line.place) ?? []).filter((row) => row.share === share)).sort((a, b) => b.accuracy - a.accuracy);
    const [first, second] = ranked;
    const plain = familyAt(share, view);
    const title = `${Math.round(100 * share)}% of the plain cost`;
    const plainWord = plain ? `plain family ${percent(plain.accuracy)}% (${plain.point})` : "no plain network is so cheap";
    if (!first) {
      said.push(`At ${title}: no method has a point.`);
      return element("div", { class: "card" }, element("h3", {}, title), element("b", {}, "no point is so cheap"), element("p", {}, plainWord));
    }
    const beaten = plain && plain.accuracy > first.accuracy;
    said.push(`At ${title} the best method is ${first.of.name} with ${percent(first.accuracy)}% (${range(first.low, first.high, percent)}); ${plainWord}.`);
    const lead = plain ? `${gain(first.accuracy - plain.accuracy)} over the plain family (${percent(plain.accuracy)}%)` : plainWord;
    return element("div", { class: "card", style: `border-color:${first.of.colour}` },
      element("h3", {}, title), element("b", {}, dot(first.of), ...breakable(first.of.name)), element("span", { class: "figure" }, `${percent(first.accuracy)}%`),
      element("p", {}, `${range(first.low, first.high, percent)} · ${first.point} · ${millions(first.macs)} MMACs`),
      element("p", {}, beaten ? `below the plain family: ${percent(plain.accuracy)}%, ${plain.point}` : lead),
      second ? element("p", {}, `next: ${second.of.name}, ${gain(second.accuracy - first.accuracy)} (${separated(first.of, second.of, share)})`) : "");
  });
  byId("winners").replaceChildren(...cards);
  const seeds = Math.max(0, ...view.adjustable.map((line) => line.seeds));
  byId("winners-note").textContent = `Test accuracy of the point that calibration images choose within the budget; ${seeds > 1 ? "the range is over seeds" : "the interval is over test images of one seed"}. Budgets are shares of the plain network's MACs${known(view.here[0]?.plain_macs) ? `, ${millions(view.here[0].plain_macs)} million an image` : ""}.`;
  byId("frontier-words").textContent = `Accuracy against cost. ${said.join(" ")} All figures are in the tables below.`;
}

function separated(one, other, share) {
  const row = versus.find((pair) => pair.share === share && ((pair.one === one && pair.other === other) || (pair.one === other && pair.other === one)));
  if (!row) return one.seeds > 1 && other.seeds > 1 ? "not compared" : "one seed: no claim";
  if (["first", "second"].includes(row.verdict)) return `significant, p ${row.p_holm < 0.001 ? "< 0.001" : row.p_holm.toFixed(3)}`;
  return row.verdict.startsWith("fewer") ? `${row.verdict}: no claim` : row.verdict;
}

function drawNotes(view) {
  byId("versus-note").textContent = versus.length
    ? `Each budget's chosen points, seed by seed: mean difference in points of accuracy, Student's 95% interval of that comparison alone, p adjusted by Holm over all pairs and budgets of the data set and backbone. Fewer than 5 seeds: shown, pale, no claim. Compared are the ${data.limits.rivals} series with the best summaries.`
    : "Pairs need the same method trained with several seeds: these runs have one, so nothing can be said about other trainings.";
  const { routed } = TABLES.controls(view);
  byId("controls-section").hidden = !controls.length;
  byId("controls-words").replaceChildren(...[...groupedBy(routed, (row) => row.of)].slice(0, MOST_DRAWN).map(([line, rows]) => element("p", {}, ...named(line, view),
    `: of ${rows.length} per-sample points, ${count(line.over_random)} lie above random routing (${count(line.clear_random)} with their whole 95% interval) and ${count(line.over_mixture)} above the best mixture of the method's own static points (${count(line.clear_mixture)} with their whole interval).`)));
}

function draw() {
  const view = visible();
  drawFilters(view);
  drawWinners(view);
  drawNotes(view);
  drawFrontier(view);
  drawSpeedup(view);
  for (const id of Object.keys(TABLES)) drawTable(id, view);
  for (const select of [byId("condition"), byId("speed-condition")]) if (select) select.value = state.condition;
}

/** Follows a link within the page and leaves the address, which keeps the view, as it is. */
function goTo(event) {
  event.preventDefault();
  const target = document.querySelector(event.currentTarget.getAttribute("href"));
  target.tabIndex = -1;
  target.focus();
  target.scrollIntoView();
}

function start() {
  for (const select of [byId("condition"), byId("speed-condition")].filter(Boolean)) {
    select.append(...conditions.map((one) => element("option", { value: one }, one)));
    select.addEventListener("change", () => change(() => (state.condition = select.value)));
  }
  if (byId("speed-condition-label")) byId("speed-condition-label").hidden = conditions.length < 2;
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", () => change(() => (state = fresh())));
  const sections = [...document.querySelectorAll("main > section")];
  byId("contents").replaceChildren(...sections.map((section) => element("li", {}, element("a", { href: `#${section.querySelector("h2").id}`, onclick: goTo }, section.dataset.nav))));
  document.querySelector(".skip").addEventListener("click", goTo);
  window.addEventListener("hashchange", () => {
    if (!location.hash || location.hash.includes("=")) {
      readState();
      draw();
    }
  });
  dark.addEventListener("change", draw);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (width < 640 !== window.innerWidth < 640) draw();
    width = window.innerWidth;
  });
  readState();
  draw();
}

start();
