// Two conveniences; the report reads the same without them.

// Paper cannot be clicked: open what is closed, except the offensive items, and close it again afterwards.
const opened = new Set();
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open]):not(.sensitive)")) {
    details.open = true;
    opened.add(details);
  }
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
  opened.clear();
});

// The outline marks the part that is being read.
const links = new Map();
for (const link of document.querySelectorAll(".outline a")) {
  const heading = document.getElementById(link.hash.slice(1));
  if (heading) links.set(heading, link);
}
let queued = false;
function mark() {
  queued = false;
  let current;
  for (const [heading, link] of links) {
    link.removeAttribute("aria-current");
    if (heading.getBoundingClientRect().top < innerHeight / 3) current = link;
  }
  current?.setAttribute("aria-current", "true");
}
addEventListener("scroll", () => {
  if (!queued) requestAnimationFrame(mark);
  queued = true;
}, { passive: true });
mark();
