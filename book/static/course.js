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
