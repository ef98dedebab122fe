"""Takes the pictures of the documentation from a running demonstration (`make screenshots`).

Expects the address in SITE_URL and the shared password in DEMO_PASSWORD, as `make run` gives them.
"""

import os
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).parent / "pictures"
BASE = os.environ["SITE_URL"]
STUDY = "uspp"


def sign_in(browser: Browser, username: str) -> Page:
    page = browser.new_context(
        viewport={"width": 1280, "height": 860}, locale="ko-KR", color_scheme="light"
    ).new_page()
    page.goto(f"{BASE}/account/login/")
    page.fill("input[name=login]", username)
    page.fill("input[name=password]", os.environ["DEMO_PASSWORD"])
    page.click("main form button.primary")
    page.wait_for_url(f"{BASE}/{STUDY}/**")
    return page


def take(page: Page, path: str, name: str) -> None:
    page.goto(f"{BASE}/{STUDY}/{path}")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}.png")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        coordinator = sign_in(browser, "coordinator")
        take(coordinator, "", "today")
        take(coordinator, "participants/", "grid")
        coordinator.click("table[role=grid] a.cell.st-complete")
        coordinator.wait_for_load_state("networkidle")
        form = coordinator.get_attribute(f"main a[href*='/{STUDY}/entries/'] >> nth=1", "href")
        coordinator.goto(f"{BASE}{form}")
        coordinator.wait_for_load_state("networkidle")
        coordinator.screenshot(path=FOLDER / "entry.png")
        take(sign_in(browser, "monitor"), "events/", "events")
        take(sign_in(browser, "datamanager"), "lock/", "lock")
        browser.close()


if __name__ == "__main__":
    main()
