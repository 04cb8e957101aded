"""Every tab's main path in a real browser, from click to picture; links restore; axe finds no fault. Skipped without Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")
sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
WAIT = 60_000  # milliseconds that a busy machine may take


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(WAIT)
    outside: list[str] = []
    errors: list[str] = []
    opened.on("request", lambda r: None if r.url.startswith(("http://127.0.0.1", "data:", "blob:")) else outside.append(r.url))
    opened.on("pageerror", lambda e: errors.append(str(e)))
    yield opened
    opened.close()
    assert outside == [] and errors == []


def source(page: Any, selector: str) -> str:
    return page.locator(selector).first.get_attribute("src")


def changed(page: Any, selector: str, before: str) -> None:
    page.wait_for_function("([s, b]) => { const e = document.querySelector(s); return e && e.src !== b; }", arg=[selector, before])


SETTLED = """() => Promise.all(document.getAnimations().filter(a => a.effect.getComputedTiming().iterations !== Infinity)
                                  .map(a => a.finished.catch(() => null))).then(() => null)"""


def accessible(page: Any) -> list[str]:
    """What axe finds of WCAG 2 A and AA, in words."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.evaluate(SETTLED)  # in the middle of a change of colour every contrast is wrong
    found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa"]}).response["violations"]
    return [f"{v['id']}: {n['html'][:160]}" for v in found for n in v["nodes"]]


ANSWER = ".hb-frame[data-which=output] img"


def test_filter_from_slider_grid_dial_and_pointer_to_picture(page, server):
    page.goto(server)
    page.wait_for_selector(ANSWER)
    first = source(page, ANSWER)
    page.locator(".hb-dial [role=slider]").focus()
    page.keyboard.press("PageUp")
    changed(page, ANSWER, first)
    assert "angle=105" in page.url
    turned = source(page, ANSWER)
    page.locator(".hb-cell").first.fill("9")
    page.locator(".hb-cell").first.press("Enter")
    changed(page, ANSWER, turned)
    page.wait_for_function("() => location.search.includes('kernel=weights')")
    said = page.inner_text(".hb-head")
    box = page.locator(".hb-frame[data-which=output]").bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 30)
    page.wait_for_function("b => document.querySelector('.hb-head').innerText !== b", arg=said)
    page.locator(".hb-frame[data-which=output]").focus()
    said = page.inner_text(".hb-head")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("b => document.querySelector('.hb-head').innerText !== b", arg=said)
    assert accessible(page) == []


def test_filter_takes_a_picture_of_ones_own_and_refuses_others(page, server, tmp_path):
    page.goto(server)
    page.wait_for_selector(ANSWER)
    first = source(page, ANSWER)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(tmp_path / "mine.png")
    page.locator(".hb-picker input[type=file]").first.set_input_files(tmp_path / "mine.png")
    changed(page, ANSWER, first)
    assert "mine.png, 60 × 40" in page.inner_text(".hb-lens")
    link = page.url
    assert "own-" in link
    (tmp_path / "no.png").write_bytes(b"MZ this is no picture")
    page.locator(".hb-picker input[type=file]").first.set_input_files(tmp_path / "no.png")
    page.wait_for_selector("text=No.png is not a picture")
    page.goto(link)  # a link to it works for as long as the studio runs
    page.wait_for_selector("text=mine.png, 60 × 40")


def test_filter_draws_and_hears(page, server):
    page.goto(f"{server}?tab=filter&source=sound&kernel=smooth")
    page.wait_for_selector(".hb-sound >> nth=1")
    page.get_by_role("radio", name="Drawing").check()
    canvas = page.locator(".hb-paint canvas:visible").first
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 90, steps=4)
    page.mouse.up()
    page.wait_for_selector("text=drawing.png")


def test_a_bad_link_says_what_is_wrong(page, server):
    page.goto(f"{server}?tab=filter&stride=99&kernel=sobel")
    page.wait_for_selector("text=The link's stride is left out: 99 is outside 1 to 16.")


def test_train_shows_curves_and_filters_stops_and_goes_on(page, server):
    page.goto(f"{server}?tab=train&epochs=60&seed=5")
    page.wait_for_selector("text=press Train")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_selector(".hb-chart")
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("text=Stopped, and kept")
    page.get_by_role("button", name="Go on training").wait_for()
    assert accessible(page) == []


def test_look_goes_from_unit_to_its_four_pictures(page, server):
    page.goto(f"{server}?tab=look&unit=1")
    page.wait_for_function("() => document.body.innerText.includes('Made to excite it') && !document.body.innerText.includes('being made')")
    assert page.locator(".hb-figure:has-text('patches that excite it'), .hb-figure:has-text('Its activation')").locator("img").count() == 2
    assert "hash=" in page.url and "layer=" in page.url
    assert accessible(page) == []


def test_break_goes_from_slider_to_a_picture_to_save(page, server):
    page.goto(f"{server}?tab=break&eps=4")
    page.wait_for_selector(".hb-verdict")
    page.get_by_label("number input for Size of the change, in levels of 255").fill("64")
    page.get_by_label("number input for Size of the change, in levels of 255").press("Enter")
    page.wait_for_function("() => location.search.includes('eps=64')")
    with page.expect_download() as saved:
        page.click("text=Save the PNG")
    image = np.asarray(Image.open(saved.value.path()))
    assert image.shape == (8, 8)
    assert accessible(page) == []


def test_a_newcomer_breaks_a_picture_of_ones_own(page, server, tmp_path):
    page.goto(server)
    page.get_by_role("tab", name="Break").click()
    page.wait_for_selector(".hb-verdict")
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(tmp_path / "mine.png")
    page.locator(".hb-picker:visible input[type=file]").set_input_files(tmp_path / "mine.png")
    page.wait_for_function("() => location.search.includes('picture=own-')")
    page.get_by_label("number input for Size of the change, in levels of 255").fill("64")
    page.get_by_label("number input for Size of the change, in levels of 255").press("Enter")
    page.wait_for_selector("text=Save the PNG")
    assert "picture=own-" in page.url


def test_claims_run_one_and_show_its_figure(page, server):
    page.goto(f"{server}?tab=claims")
    page.wait_for_selector(".hb-needs")
    page.get_by_role("button", name="Measure it").click()
    page.wait_for_selector(".hb-wide img")
    assert accessible(page) == []


def test_two_browser_tabs_do_not_disturb_each_other(browser, server):
    one, two = (browser.new_page() for _ in range(2))
    try:
        for tab, kernel in ((one, "laplacian"), (two, "gabor")):
            tab.set_default_timeout(WAIT)
            tab.goto(f"{server}?tab=filter&kernel={kernel}")
        for tab in (one, two):
            tab.wait_for_selector(ANSWER)
        before = source(two, ANSWER)
        one.get_by_label("number input for Stride").fill("3")
        one.get_by_label("number input for Stride").press("Enter")
        one.wait_for_function("() => location.search.includes('stride=3')")
        assert source(two, ANSWER) == before and "stride" not in two.url
    finally:
        one.close()
        two.close()


def test_a_telephone_needs_no_sideways_scrolling(browser, server):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    try:
        page.set_default_timeout(WAIT)
        for query, seen in (("", ANSWER), ("?tab=break", ".hb-verdict"), ("?tab=claims", ".hb-needs")):
            page.goto(server + query)
            page.wait_for_selector(seen)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        page.close()


@pytest.mark.slow
@pytest.mark.parametrize(("query", "seen"), [("?tab=reuse&model=efficientnet_lite0", ".hb-predictions"),
                                             ("?tab=reuse&mode=find&model=efficientnet_lite0", ".hb-box"),
                                             ("?tab=encode", "text=Denoised"), ("?tab=encode&mode=walk", ".hb-strip"),
                                             ("?tab=break&model=efficientnet_lite0", ".hb-save"),
                                             ("?tab=look&model=efficientnet_lite0", "text=mean activation")])
def test_the_large_model(page, server, query, seen):
    page.set_default_timeout(3 * WAIT)
    page.goto(server + query)
    page.wait_for_selector(seen)
    assert accessible(page) == []


