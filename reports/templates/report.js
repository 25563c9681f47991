// The report reads the same without it.
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const byId = id => document.getElementById(id);
const make = (tag, content) => Object.assign(document.createElement(tag), content);
const says = node => node.textContent;
const on = addEventListener;
const page = document.documentElement.classList;
const uncite = () => all(".cited").forEach(row => row.remove());

function open(which) {
  const opened = all("details:not([open])").filter(which);
  for (const fold of opened) fold.open = true;
  return opened;
}
const close = opened => opened.forEach(fold => { fold.open = false; });

// On paper all is open but offensive items.
let printed;
on("beforeprint", () => { printed = open(fold => !fold.matches(".sensitive")); });
on("afterprint", () => close(printed));

// The outline marks what is read.
const links = all(".outline a").map(link => [byId(link.hash.slice(1)), link]);
function mark() {
  const read = links.findLast(([at]) => at.getClientRects()[0]?.top < innerHeight / 3);
  for (const pair of links) pair[1].ariaCurrent = pair === read;
}
on("scroll", mark);

// After the load, what is out of sight is laid out too.
on("load", async () => {
  for (const probe of all(".probe")) {
    await new Promise(requestAnimationFrame);
    probe.style.contentVisibility = "visible";
  }
  mark();
});

// A column sorts its table.
function sort(th, body) {
  const sign = th.ariaSort === "ascending" ? -1 : 1;
  for (const other of th.parentNode.cells) other.ariaSort = null;
  th.ariaSort = sign > 0 ? "ascending" : "descending";
  uncite();
  const value = row => says(row.cells[th.cellIndex]);
  const number = row => parseFloat(value(row).replace("−", "-").replaceAll(",", ""));
  body.append(...[...body.rows].sort((a, b) => (value(a) === "—") - (value(b) === "—") ||
    sign * (number(a) - number(b) || value(a).localeCompare(value(b)))));
}
for (const th of all("main thead th")) {
  const [body] = th.closest("table").tBodies;
  if (!body.rows[2]) continue;
  const button = make("button", { onclick: () => sort(th, body) });
  button.append(...th.childNodes);
  th.append(button);
}

// The finder leaves the numbers with its words and verdict.
const rows = all(".numbers tbody tr"), words = byId("words"), outcome = byId("outcome");
const left = part => part.querySelector(".numbers tbody tr:not([hidden])");
let texts, found = [];
function find() {
  const wanted = words.value.toLowerCase().split(" "), verdict = outcome.value, active = words.value || verdict;
  texts ??= rows.map(row => (row.id + says(row.closest("table").caption) + says(row)).toLowerCase());
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
if (rows[0]) {
  Object.assign(words.closest(".finder"), { hidden: false, oninput: find });
  find();
}

// A link to a number opens what it is in.
for (const { cells, id } of rows) {
  cells[0].append(make("a", { className: "at", href: "#" + id, textContent: "#", ariaLabel: "Cite" }));
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
  const heads = all("thead th", row.closest("table")).map(says), probe = row.closest(".probe");
  const numbers = ["Value", "95 % interval", "n"].map(head => `${head} ${says(row.cells[heads.indexOf(head)])}`);
  const parts = [all(".ways q", probe)[row.dataset.way ?? 0], ...all(".shared", probe), byId("citation")];
  const name = decodeURIComponent(row.id.slice(2)), how = parts.map(says).join(". ");
  const cited = make("tr", { className: "cited" }), cell = cited.insertCell();
  cell.colSpan = row.cells.length;
  cell.append(line("Copy citation", `${name}: ${numbers.join(", ")}. ${how}`), line("Copy link", location.href));
  for (const pre of all(".cite pre", probe)) cell.append(line("Copy command", says(pre)));
  row.after(cited);
}
function arrive() {
  const target = byId(location.hash.slice(1));
  uncite();
  if (target?.closest("[hidden]")) {
    words.value = outcome.value = "";
    find();
  }
  open(fold => fold.contains(target));
  if (rows.includes(target)) cite(target);
  target?.scrollIntoView();
}
on("hashchange", arrive);
arrive();

// Escape closes an explanation.
on("keydown", ({ key }) => page.toggle("quiet", key === "Escape"));
on("pointerout", () => page.remove("quiet"));
