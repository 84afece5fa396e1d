// One point in full: what it is, the command that selects it, and the Python that loads it.
function shortMacs(macs) {
  const [unit, letter] = macs >= 1e9 ? [1e9, "G"] : macs >= 1e6 ? [1e6, "M"] : [1e3, "k"];
  return `${Number((macs / unit).toPrecision(15))}${letter}`; // to the last MAC: a budget that the point meets
}

const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\"'\"'")}'`);
const python = (text) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replaceAll("\n", "\\n")}'`;

/** The command that selects a point; null where `pick` names another at its cost, or the run cannot be loaded. */
function pickCommand(point) {
  const run = runs[point.run];
  if (!run.folder || !known(point.asked)) return null;
  return `python -m benchmarks pick ${quoted(run.folder)} --max-macs ${shortMacs(point.asked)}${run.seeds.includes(",") ? ` --seed ${point.seed}` : ""}`;
}

function pythonLines(point) {
  const run = runs[point.run];
  if (!run.folder) return null;
  const variant = ["", "default"].includes(point.of.variant) ? "" : `:${point.of.variant}`;
  const plugins = run.plugins === "[]" ? "" : `, plugins=${run.plugins}`;
  const seed = run.seeds.includes(",") ? `, seed=${point.seed}` : "";
  return [
    "import benchmarks",
    `model = benchmarks.load(${python(run.folder)}${plugins}).at(${python(`${point.of.method}${variant}/${point.point}`)}${seed})`,
    `logits = model(images)  # images uint8 [n, ${run.shape}], logits [n, ${run.classes}]`,
    "classes = [model.classes[i] for i in logits.argmax(1)]",
  ].join("\n");
}

function pointFacts(point) {
  const line = point.of;
  return {
    series: line.name, point: point.point, decision: `${point.decision}${has(point, MARK.simulated) ? ", simulated" : ", executed"}`,
    "data set": line.dataset, backbone: line.backbone, training: line.training, seed: point.seed,
    chosen: has(point, MARK.selected) ? "on calibration images" : "no",
    "accuracy %": `${percent(point.accuracy)} (${range(point.low, point.high, percent)}, ${count(point.samples)} images)`,
    ...(known(point.balanced) ? { "balanced accuracy %": `${percent(point.balanced)} (mean over classes)` } : {}),
    "MMACs": `${millions(point.macs)} (${known(point.share) ? `${percent(point.share)}% of plain` : "plain not known"}); MFLOPs ${millions(2 * point.macs)}`,
    memory: `${mib(point.memory)} MiB, ${has(point, MARK.measured) ? "stored weights and the measured peak of a call" : "stored weights alone"}`,
    ...Object.fromEntries(data.facts.filter((fact) => line[fact]).map((fact) => [fact.replaceAll("_", " "), line[fact]])),
  };
}

function code(title, text) {
  const copy = element("button", { type: "button", onclick: () => navigator.clipboard?.writeText(text).then(() => (copy.textContent = "Copied"), () => {}) }, "Copy");
  return [element("h3", {}, title), element("pre", { tabindex: "0" }, text), navigator.clipboard ? copy : null];
}

function openPoint(point) {
  byId("point-title").replaceChildren(...[dot(point.of), `${point.of.name} at ${point.point}`]);
  byId("point-facts").replaceChildren(
    ...Object.entries(pointFacts(point)).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]),
  );
  const command = pickCommand(point);
  const lines = pythonLines(point);
  const parts = [
    ...(command ? code("Select by its budget", command) : []),
    !command && lines ? element("p", { class: "quiet" }, "No budget in MACs selects it: another point of its run answers calibration images at least as well at this cost, or cheaper.") : null,
    ...(lines ? code("Load it", lines) : [element("p", { class: "quiet" }, "Its weights are not in this run's folder: there is nothing to load.")]),
  ];
  byId("point-code").replaceChildren(...parts.filter((part) => part !== null));
  byId("point").showModal();
}
