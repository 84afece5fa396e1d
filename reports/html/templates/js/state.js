// What is shown. It stands in the address after #, so that a view can be sent as a link.
const ONE = { dataset: "Data set", backbone: "Backbone", training: "Training" };
const MANY = { axis: "Adjusts", decision: "Decides" };
const numeric = (fact) => lines.some((line) => typeof line[fact] === "number");
for (const fact of data.facts) {
  const count = unique(lines.map((line) => line[fact])).length;
  if (fact !== "stale" && !numeric(fact) && count > 1 && count <= 12) MANY[fact] = fact.replaceAll("_", " ");
}
const LAYERS = {
  family: "plain family", bands: "intervals", pale: "points not chosen", random: "random routing",
  mixture: "mixture of static points", oracle: "oracle (upper bound)", whole: "the whole accuracy axis",
};
const SHOWN_AT_FIRST = ["family", "pale"];
const FEW = 4; // series whose intervals do not bury one another
const ALL = "all";

const fresh = () => ({
  cost: "macs", condition: conditions[0] ?? "", one: {}, many: { name: [], ...Object.fromEntries(Object.keys(MANY).map((name) => [name, []])) },
  layers: null, sort: {},
});
let state = fresh();

function readState() {
  const given = new URLSearchParams(location.hash.slice(1));
  state = fresh();
  if (["macs", "time", "memory"].includes(given.get("cost"))) state.cost = given.get("cost");
  if (conditions.includes(given.get("measured"))) state.condition = given.get("measured");
  for (const name of Object.keys(ONE)) if (given.has(name)) state.one[name] = given.get(name);
  for (const name of Object.keys(state.many)) state.many[name] = given.getAll(name === "name" ? "method" : name);
  if (given.has("layers")) state.layers = given.get("layers").split(" ").filter((name) => name in LAYERS);
  for (const [name, value] of given) if (name.startsWith("sort.")) state.sort[name.slice(5)] = value;
  if (state.cost === "time" && !conditions.length) state.cost = "macs";
}

function writeState() {
  const given = new URLSearchParams();
  if (state.cost !== "macs") given.set("cost", state.cost);
  if (state.condition !== (conditions[0] ?? "")) given.set("measured", state.condition);
  for (const [name, value] of Object.entries(state.one)) given.set(name, value);
  for (const [name, values] of Object.entries(state.many)) for (const value of values) given.append(name === "name" ? "method" : name, value);
  if (state.layers) given.set("layers", state.layers.join(" "));
  for (const [name, value] of Object.entries(state.sort)) given.set(`sort.${name}`, value);
  const text = given.toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

/** The values that a choice of one has, by how many series have them: accuracies of different data do not mix. */
function options(name) {
  const before = Object.keys(ONE).slice(0, Object.keys(ONE).indexOf(name)).map((other) => [other, chosen(other)]);
  const within = lines.filter((line) => before.every(([other, value]) => value === ALL || line[other] === value));
  return groupedBy(within, (line) => line[name]);
}

function chosen(name) {
  const counts = options(name);
  const wanted = state.one[name];
  if (counts.has(wanted) || (wanted === ALL && name !== "dataset")) return wanted;
  return [...counts].reduce((most, one) => (one[1].length > most[1].length ? one : most))[0];
}

/** The series that the filters leave, and those of their place that are the family of plain networks. */
function visible() {
  const place = Object.fromEntries(Object.keys(ONE).map((name) => [name, chosen(name)]));
  const here = lines.filter((line) => Object.entries(place).every(([name, value]) => value === ALL || line[name] === value));
  const passes = (line) => Object.entries(state.many).every(([name, values]) => !values.length || values.includes(String(line[name])));
  const shown = here.filter(passes);
  const adjustable = shown.filter((line) => !line.inFamily);
  return { place, here, shown, adjustable, family: here.filter((line) => line.inFamily), set: new Set(shown) };
}

/** The layers of the chart: those that were chosen, or those that do not bury the points. */
function layers(view) {
  if (state.layers) return new Set(state.layers);
  return new Set([...SHOWN_AT_FIRST, ...(view.adjustable.length <= FEW ? ["bands", "random", "mixture"] : [])]);
}

/** What a point costs on the axis that is chosen: `x`, and `hollow` where it is not to be relied on; null: not known. */
function costs() {
  if (state.cost === "macs") return (point) => ({ x: point.macs / 1e6, hollow: false });
  if (state.cost === "memory") {
    return (point) => (point.memory ? { x: point.memory / 2 ** 20, hollow: !has(point, MARK.measured) } : null);
  }
  const found = new Map();
  for (const time of times) if (time.at && time.condition === state.condition) found.set(time.at, time);
  return (point) => {
    const time = found.get(point);
    return time && time.p50 ? { x: time.p50, hollow: Boolean(time.flags), time } : null;
  };
}
