// The figures, unpacked: rows as objects that know the series (`of`) they belong to.
const data = JSON.parse(document.getElementById("page-data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const scheme = () => (dark.matches ? "dark" : "light");
const MARK = { selected: 1, onFrontier: 2, inFamily: 4, measured: 8, simulated: 16 };
const FAMILY = ["plain", "static"];
const DOTS = { static: ["circle", "square", "diamond"], "per-sample": ["triangle-up", "triangle-down", "triangle-right"] };

/** How the values of a packed column are read by their row. */
function reader(column) {
  if ("c" in column) return () => column.c;
  if ("w" in column) return (row) => (column.v[row] === null ? null : column.w[column.v[row]]);
  const unit = 10 ** Math.abs(column.e);
  if (column.e < 0) return (row) => (column.v[row] === null ? null : column.v[row] / unit);
  return (row) => (column.v[row] === null ? null : column.v[row] * unit);
}

function unpack(table) {
  const rows = Array.from({ length: table.rows }, (_, place) => ({ place }));
  for (const [name, column] of Object.entries(table.columns)) {
    const at = reader(column);
    for (const row of rows) row[name] = at(row.place);
  }
  return rows;
}

function groupedBy(rows, key) {
  const groups = new Map();
  for (const row of rows) {
    const name = key(row);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(row);
  }
  return groups;
}

const unique = (values) => [...new Set(values)];
const has = (point, mark) => (point.marks & mark) !== 0;

const runs = unpack(data.runs);
const lines = unpack(data.lines);
const points = unpack(data.points);
const controls = unpack(data.controls);
const budgets = unpack(data.budgets);
const times = unpack(data.times);
const realised = unpack(data.realised);
const familyBudgets = unpack(data.family);
const versus = unpack(data.versus);

for (const rows of [budgets, realised]) for (const row of rows) row.of = lines[row.line];
for (const row of versus) [row.one, row.other] = [lines[row.first], lines[row.second]];
for (const point of points) {
  point.of = lines[point.line];
  point.share = point.of.plain_macs ? point.macs / point.of.plain_macs : null;
}
for (const control of controls) {
  control.at = control.of === null || control.of === undefined ? null : points[control.of];
  control.of = lines[control.line];
}
for (const time of times) {
  time.at = time.of === null ? null : points[time.of];
  time.composed = time.at === null;
  time.of = lines[time.composed ? time.line : time.at.line];
  for (const name of ["point", "seed", "macs"]) time[name] = time.composed ? time[name] : time.at[name];
  time.share = time.of.plain_macs ? time.macs / time.of.plain_macs : null;
}

// Colours and shapes go with names, so that a method looks the same on every view of the page.
const names = unique(lines.filter((line) => !FAMILY.includes(line.method)).map((line) => line.name));
for (const line of lines) {
  const place = names.indexOf(line.name);
  line.inFamily = place < 0;
  Object.defineProperty(line, "colour", { get: () => (line.inFamily ? null : data.colours[scheme()][place % data.colours.light.length]) });
  line.shapes = Object.fromEntries(Object.entries(DOTS).map(([kind, own]) => [kind, own[place % own.length]]));
}
const pointsOf = groupedBy(points, (point) => point.line);
const conditions = unique(times.map((time) => time.condition));
