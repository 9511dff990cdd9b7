"""The book as a reader opens it from a folder: nothing is asked of the network, no page is wider than a telephone, and
the keyboard reaches what the mouse reaches."""

import pytest

PAGES = [
    "index.html",
    "notebooks/00_start_here.html",
    "notebooks/02_vision_transformer.html",  # formulas
    "notebooks/03_masks.html",  # explorers
    "notebooks/05_collapse.html",  # wide outputs
    "notebooks/08_vjepa_clips.html",  # films
    "notebooks/10_what_matters.html",  # wide tables
    "notebooks/20_zero_shot_rl.html",  # long formulas
    "exercises/03_masks/masks.html",
    "results.html",
    "api/planning.html",
    "_modules/minijepa/vit.html",
    "search.html",
]
# what a page is wider than, and which of its parts stick out
TOO_WIDE = """() => {
  const room = document.documentElement.clientWidth, out = [];
  if (document.documentElement.scrollWidth <= room) return out;
  for (const part of document.querySelectorAll('body *'))
    if (part.getBoundingClientRect().right > room + 1) out.push(part.tagName + '.' + part.className);
  return out.slice(-5).concat([`${document.documentElement.scrollWidth} > ${room}`]);
}"""
FOCUSED = """() => {
  const it = document.activeElement, box = it.getBoundingClientRect(), seen = getComputedStyle(it);
  return {
    name: it.getAttribute('aria-label') || it.textContent.trim(), tag: it.tagName.toLowerCase(), id: it.id,
    seen: box.width > 0 && box.height > 0 && seen.visibility != 'hidden',
  };
}"""


@pytest.fixture(scope="module")
def reader(browser, book):
    """A function: (path, settings of the browser) -> a page opened from the folder; what it asked for is `asked`."""
    contexts = []

    def open_page(path, **settings):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.asked, page.errors = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto((book / "html" / path).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


def tab_to(page, wanted, most=150):
    """Press Tab until the focus is on something that fits; returns it. wanted: a function of what FOCUSED gives."""
    for _ in range(most):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if wanted(focused):
            return focused
    raise AssertionError("the keyboard does not reach it")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_asks_nothing_of_the_network_and_fits_a_telephone(reader, path):
    page = reader(path, viewport={"width": 390, "height": 844})
    page.wait_for_load_state("load")
    page.evaluate("document.querySelectorAll('article details').forEach(part => part.open = true)")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")  # so that lazy pictures come
    assert page.evaluate(TOO_WIDE) == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == [] and len(page.asked) > 3
    assert page.errors == []


def test_formulas_are_drawn_in_the_font_of_the_book(reader):
    page = reader("notebooks/20_zero_shot_rl.html")
    page.evaluate("document.fonts.ready.then(String)")
    assert page.evaluate("document.fonts.check('16px \"STIX Two Math Local\"')")
    assert any("STIXTwoMath" in url for url in page.asked)
    box = page.locator("div.math math").first.bounding_box()
    assert box["width"] > 100 and box["height"] > 15


def test_pictures_are_really_there(reader):
    page = reader("notebooks/03_masks.html")
    broken = """() => Promise.all([...document.querySelectorAll('article img')].map(image => {
        image.loading = 'eager';
        return image.decode().then(() => '', () => image.src);
    })).then(all => all.filter(String))"""
    assert page.evaluate(broken) == []


def test_the_keyboard_reaches_search_navigation_and_the_theme(reader):
    page = reader("index.html", color_scheme="light")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    tab_to(page, lambda it: it["tag"] == "input" and it["name"] == "Search" and it["seen"])
    tab_to(page, lambda it: it["name"].startswith("00") and it["seen"])
    tab_to(page, lambda it: "theme" in it["name"] and it["seen"])
    for _ in range(3):
        page.keyboard.press("Enter")
        if page.evaluate("getComputedStyle(document.body).backgroundColor") != before:
            break
    else:
        raise AssertionError("the switch of the theme does not answer to the keyboard")
    page.reload()  # and the choice is kept
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before


def test_the_keyboard_opens_a_quiz_and_follows_a_link(reader):
    page = reader("notebooks/00_start_here.html")
    page.locator("details").first.scroll_into_view_if_needed()
    page.locator("details summary").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('details').open")
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    page.reload()
    tab_to(page, lambda it: it["name"].startswith("01"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/01_what_to_predict.html")


def test_on_a_telephone_the_keyboard_opens_the_navigation(reader):
    page = reader("notebooks/00_start_here.html", viewport={"width": 390, "height": 844})
    hidden = page.evaluate("document.querySelector('.sidebar-drawer').getBoundingClientRect().right")
    assert hidden <= 0
    tab_to(page, lambda it: "navigation" in it["name"].lower() or "menu" in it["name"].lower())
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelector('.sidebar-drawer').getBoundingClientRect().right > 100")


def test_search_finds_a_page_without_a_server(reader):
    page = reader("index.html")
    tab_to(page, lambda it: it["tag"] == "input" and it["name"] == "Search")
    page.keyboard.type("collapse")
    page.keyboard.press("Enter")
    page.wait_for_selector("ul.search li a")
    page.wait_for_function("document.querySelectorAll('ul.search li').length > 3")
    found = page.locator("ul.search li a").evaluate_all("all => all.map(a => a.href)")
    assert any("05_collapse" in address for address in found) and page.errors == []


def test_an_answer_opens_with_the_keyboard_and_without_a_script(reader):
    page = reader("notebooks/05_collapse.html", java_script_enabled=False)
    answer = page.locator("details.answer").first
    cell = answer.locator(".cell").first
    assert answer.locator("summary").first.inner_text() == "Show what happened" and not cell.is_visible()
    answer.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert cell.is_visible()


def test_print_shows_what_is_folded_and_closes_it_again(reader):
    page = reader("notebooks/05_collapse.html")
    closed = "document.querySelectorAll('article details:not([open])').length"
    before = page.evaluate(closed)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert before > 10 and page.evaluate(closed) == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(closed) == before


def test_on_a_telephone_a_wide_figure_keeps_its_size_and_scrolls_with_the_keyboard(reader):
    page = reader("notebooks/05_collapse.html", viewport={"width": 390, "height": 844})
    page.evaluate("document.querySelectorAll('article details').forEach(part => part.open = true)")
    page.wait_for_selector(".wide-figure[tabindex='0'][role=region]")
    figure = page.locator(".wide-figure").first
    assert figure.locator("img").bounding_box()["width"] == 640 and figure.bounding_box()["width"] < 390
    assert figure.get_attribute("aria-label").startswith("Figure, scrolls sideways: Table of seven")
    assert "enlarge" in figure.locator("a").get_attribute("title")
    figure.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 0")
    page.wait_for_selector(".cell_output pre[tabindex='0']")
    page.evaluate("window.scrollTo(0, 4000)")
    page.mouse.wheel(0, -300)
    assert not page.locator(".back-to-top").is_visible()


def test_on_a_wide_screen_a_figure_is_no_stop_of_its_own(reader):
    page = reader("notebooks/05_collapse.html")
    page.evaluate("document.querySelectorAll('article details').forEach(part => part.open = true)")
    page.wait_for_selector(".wide-figure[data-label]")
    assert page.locator(".wide-figure[tabindex]").count() == 0


def test_short_code_is_never_parted(reader):
    page = reader("notebooks/05_collapse.html", viewport={"width": 390, "height": 844})
    page.evaluate("document.querySelectorAll('article details').forEach(part => part.open = true)")
    lines = page.locator("code.short").evaluate_all("all => all.map(code => code.getClientRects().length)")
    assert len(lines) > 30 and set(lines) <= {0, 1}
