// Elements and figures as text. Text goes in as text, never as markup.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const byId = (id) => document.getElementById(id);
const DASH = "–";
const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);
const fixed = (digits, factor = 1, ending = "") => {
  const { format } = new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return (value) => (known(value) ? format(value * factor) + ending : DASH);
};
const percent = fixed(1, 100);
const millions = fixed(2, 1e-6);
const times2 = fixed(2, 1, "×");
const two = fixed(2);
const count = fixed(0);
const mib = fixed(1, 2 ** -20);
const ms = (value) => (!known(value) ? DASH : value >= 100 ? count(value) : value.toPrecision(3));
const gain = (value) => {
  if (!known(value)) return DASH;
  const size = Math.abs(100 * value).toFixed(1);
  return (size === "0.0" ? "±" : value < 0 ? "−" : "+") + size;
};
const range = (low, high, write) => (known(low) && known(high) ? `${write(low)}–${write(high)}` : DASH);

const PATHS = {
  circle: "M8 2.5a5.5 5.5 0 1 0 .01 0z", square: "M3 3h10v10H3z", diamond: "M8 1l6 7-6 7-6-7z",
  "triangle-up": "M8 2l6.5 11.5h-13z", "triangle-down": "M8 14L1.5 2.5h13z", "triangle-right": "M14 8L2.5 14.5v-13z",
  cross: "M6 1.5h4V6h4.5v4H10v4.5H6V10H1.5V6H6z",
};
const SVG = "http://www.w3.org/2000/svg";

/** The mark of a series as the chart has it. */
function dot(line) {
  const drawn = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[line.inFamily ? "cross" : line.shapes[line.decision]]);
  path.setAttribute("fill", line.colour ?? "currentColor");
  drawn.setAttribute("viewBox", "0 0 16 16");
  drawn.setAttribute("class", "dot");
  drawn.setAttribute("aria-hidden", "true");
  drawn.append(path);
  return drawn;
}

/** A series by name; with its backbone and training where several are shown together. */
function label(line, view) {
  return [line.name, ...["backbone", "training"].filter((name) => view.place[name] === ALL).map((name) => line[name])].join(" · ");
}

/** A series' name: a line may end behind the parts of a variant. */
const breakable = (name) => name.split(/(?<=[:=])/).flatMap((part) => [part, element("wbr")]);

const named = (line, view) => [dot(line), ...breakable(label(line, view))];
