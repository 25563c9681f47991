// The report reads the same without it.
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const byId = id => document.getElementById(id);
const make = (tag, content) => Object.assign(document.createElement(tag), content);
const on = addEventListener;
const page = document.documentElement.classList;
const uncite = () => all(".cited").forEach(row => row.remove());

function open(which) {
  const opened = all("details:not([open])").filter(which);
  for (const details of opened) details.open = true;
  return opened;
}
const close = opened => opened.forEach(details => { details.open = false; });

// On paper all is open but the offensive items.
let printed = [];
on("beforeprint", () => { printed = open(details => !details.matches(".sensitive")); });
on("afterprint", () => close(printed));

// The outline marks the part that is read.
const links = all(".outline a").map(link => [byId(link.hash.slice(1)), link]);
function mark() {
  const read = links.findLast(([at]) => at.offsetParent && at.getBoundingClientRect().top < innerHeight / 3);
  for (const pair of links) pair[1].ariaCurrent = pair === read ? "true" : null;
}
on("scroll", mark);
requestAnimationFrame(mark);

// A column sorts its table.
function sort(th, body) {
  const sign = th.ariaSort === "ascending" ? -1 : 1;
  for (const other of th.parentNode.cells) other.ariaSort = null;
  th.ariaSort = sign > 0 ? "ascending" : "descending";
  uncite();
  const text = row => row.cells[th.cellIndex].textContent;
  const number = row => parseFloat(text(row).replace("−", "-").replaceAll(",", ""));
  body.append(...[...body.rows].sort((a, b) => (text(a) === "—") - (text(b) === "—") ||
    sign * (number(a) - number(b) || text(a).localeCompare(text(b)))));
}
for (const th of all("main thead th")) {
  const body = th.closest("table").tBodies[0];
  if (body.rows.length < 3) continue;
  const button = make("button", { onclick: () => sort(th, body) });
  button.append(...th.childNodes);
  th.append(button);
}

// The finder leaves the numbers with its words and its verdict.
const rows = all(".numbers tbody tr"), words = byId("words"), outcome = byId("outcome");
const left = within => within.querySelector(".numbers tbody tr:not([hidden])");
let texts, found = [];
function find() {
  const wanted = words.value.toLowerCase().split(" "), verdict = outcome.value, active = words.value || verdict;
  texts ??= rows.map(row => (row.id + row.closest("table").caption.textContent + row.textContent).toLowerCase());
  uncite();
  rows.forEach((row, i) => {
    const own = row.querySelector(".badge")?.textContent ?? "—";
    row.hidden = !wanted.every(word => texts[i].includes(word)) || verdict && own !== verdict;
  });
  page.toggle("seeking", active);
  for (const probe of all(".probe")) probe.hidden = active && !left(probe);
  close(found);
  found = active ? open(left) : [];
  byId("count").textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} numbers`;
}
if (rows.length) {
  const finder = words.closest(".finder");
  finder.hidden = false;
  finder.oninput = find;
  find();
}

// A link to a number opens what it is in.
for (const { cells, id } of rows) {
  cells[0].append(make("a", { className: "at", href: `#${id}`, textContent: "#", ariaLabel: "Cite" }));
}
function line(label, text) {
  const p = make("p"), code = make("code", { textContent: text }), copy = make("button", { textContent: label });
  copy.onclick = () => {
    getSelection().selectAllChildren(code);
    navigator.clipboard?.writeText(text).then(() => copy.append(" ✓"), Boolean);
  };
  p.append(code, copy);
  return p;
}
function cite(row) {
  const heads = all("thead th", row.closest("table")).map(th => th.textContent), probe = row.closest(".probe");
  const numbers = ["Value", "95 % interval", "n"].map(head => `${head} ${row.cells[heads.indexOf(head)].textContent}`);
  const parts = [all(".ways q", probe)[row.dataset.way ?? 0], ...all(".shared", probe), byId("citation")];
  const name = decodeURIComponent(row.id.slice(2)), how = parts.map(part => part.textContent).join(". ");
  const cited = make("tr", { className: "cited" }), cell = make("td", { colSpan: row.cells.length });
  const [pre] = all(".cite pre", probe);
  cell.append(line("Copy citation", `${name}: ${numbers.join(", ")}. ${how}`), line("Copy link", location.href), line("Copy command", pre.textContent));
  cited.append(cell);
  row.after(cited);
}
function arrive() {
  const target = byId(location.hash.slice(1)), known = rows.includes(target);
  uncite();
  if (target?.closest("[hidden]")) {
    words.value = outcome.value = "";
    find();
  }
  open(details => details.contains(target));
  if (known) cite(target);
  target?.scrollIntoView({ block: known ? "center" : "start" });
}
on("hashchange", arrive);
if (location.hash) arrive();

// Escape closes an explanation.
on("keydown", event => page.toggle("quiet", event.key === "Escape"));
on("pointerout", () => page.remove("quiet"));
