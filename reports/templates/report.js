// Charts follow the colour scheme; tables are sorted by the column whose heading is pressed.
const data = JSON.parse(document.getElementById("chart-data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function draw() {
  const config = structuredClone(data.themes[dark.matches ? "dark" : "light"]);
  config.background = "transparent";
  const narrow = window.innerWidth < 700;
  if (narrow) {
    Object.assign(config.legend, { orient: "bottom", direction: "vertical", layout: { bottom: { direction: "vertical", anchor: "start" } } });
    Object.assign(config.axis, { labelFontSize: 10, titleFontSize: 10, labelOverlap: true });
  }
  for (const [name, spec] of Object.entries(data.specs)) {
    vegaEmbed("#chart-" + name, spec, {
      config,
      renderer: "svg",
      actions: { export: true, source: false, compiled: false, editor: false },
      tooltip: { theme: dark.matches ? "dark" : "light" },
    });
  }
}

function value(row, column) {
  const cell = row.cells[column];
  const number = Number(cell.dataset.value);
  return cell.dataset.value === undefined ? cell.textContent.trim() : number;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return Number.isNaN(a) - Number.isNaN(b) || a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sort(heading) {
  const table = heading.closest("table");
  const down = heading.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => (down ? -1 : 1) * compare(value(a, heading.cellIndex), value(b, heading.cellIndex)));
  table.tBodies[0].append(...rows);
}

for (const button of document.querySelectorAll("table.sortable th button")) {
  button.addEventListener("click", () => sort(button.parentElement));
}
dark.addEventListener("change", draw);
draw();
