// From a folder or a USB stick, a browser lets no page read another, so results of a search cannot quote their pages.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
