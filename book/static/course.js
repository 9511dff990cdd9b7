// From a folder or a USB stick, a browser lets no page read another, so results of a search cannot quote their pages.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// The theme opens navigation and contents of a narrow page with labels that only a mouse or a finger reaches.
for (const label of document.querySelectorAll(".nav-overlay-icon, .toc-overlay-icon")) {
  label.tabIndex = 0;
  label.setAttribute("role", "button");
  label.setAttribute("aria-label", label.htmlFor === "__toc" ? "Contents of this page" : "Navigation of the book");
  label.addEventListener("keydown", event => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    label.click();
  });
}
document.addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  for (const name of ["__navigation", "__toc"]) document.getElementById(name).checked = false;
});

// What is wider than its box can be scrolled with the keyboard, and says what it is.
const boxes = { ".wide-figure": "Figure", ".cell_output pre": "Printed output", ".highlight pre": "Program",
                ".table-wrapper": "Table", "div.math": "Formula" };
const watched = new ResizeObserver(entries => {
  for (const { target: box } of entries) {
    const scrolls = box.scrollWidth > box.clientWidth + 1;
    for (const [name, value] of Object.entries({ tabindex: "0", role: "region", "aria-label": box.dataset.label })) {
      if (scrolls) box.setAttribute(name, value);
      else box.removeAttribute(name);
    }
  }
});
for (const [selector, name] of Object.entries(boxes)) {
  for (const box of document.querySelectorAll(`article :is(${selector})`)) {
    if (box.dataset.label) continue;
    const image = box.querySelector("img");
    box.dataset.label = `${name}, scrolls sideways${image ? `: ${image.alt}` : ""}`;
    watched.observe(box);
  }
}

// Paper has nothing to click: what is closed is open while a page is printed. So is what a search has found.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const part of opened) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of opened) part.open = false;
});
addEventListener("load", () => {
  for (const found of document.querySelectorAll("details .highlighted"))
    for (let part = found.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
});
