"""Headless Chromium for all tests of the page: one browser, and visits that notice every complaint."""

import os

import pytest
from playwright.sync_api import expect, sync_playwright

from conftest import ANSWER_SECONDS, JOB_SECONDS, OWNER, ROOT

SCREENSHOTS = ROOT / ".build/screenshots"
SCREENSHOTS.mkdir(parents=True, exist_ok=True)

ANSWER_MILLISECONDS = ANSWER_SECONDS * 1000
JOB_MILLISECONDS = JOB_SECONDS * 1000
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True,
         "device_scale_factor": 2}


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"))
        yield browser
        browser.close()


class Visit:
    """One page and all that it complained about."""

    def __init__(self, browser, server, **options):
        self.context = browser.new_context(base_url=server.address, locale="en-GB", **options)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page = self.context.new_page()
        self.complaints = []
        # Refusals that are part of the way, as parts of their addresses: the question who is signed
        # in, a trace that is still being written. A test adds those that it provokes.
        self.expected = ["/api/session", "/api/traces/"]
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', event =>"
            " console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`))")

    def _note_console(self, message):
        if message.type not in ("error", "warning"):
            return
        address = message.location.get("url", "")
        if "Failed to load resource" in message.text and any(
                part in address for part in self.expected):
            return
        self.complaints.append(f"{message.text} {address}")

    def open(self, cookies):
        """The first page, signed in."""
        self.context.add_cookies(cookies)
        self.page.goto("/")
        expect(self.page.get_by_label("Your question")).to_be_visible()
        return self

    def log_in(self):
        self.page.goto("/")
        self.page.get_by_label("Name").fill(OWNER[0])
        self.page.get_by_label("Password").fill(OWNER[1])
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_label("Your question")).to_be_visible()
        return self

    def ask(self, question):
        """Asks and gives the answer's node, which may still be growing."""
        answers = self.page.locator(".answer")
        before = answers.count()
        self.page.get_by_label("Your question").fill(question)
        self.page.keyboard.press("Enter")
        expect(answers).to_have_count(before + 1)
        return answers.nth(before)

    def complete(self, answer):
        expect(answer.locator(".figures")).to_be_visible(timeout=ANSWER_MILLISECONDS)
        return answer

    # Only the model speaks then, and as long as it likes.
    def search_nothing(self):
        self.page.locator("summary", has_text="documents").click()
        for box in self.page.get_by_role("checkbox").all():
            box.uncheck()
        self.page.keyboard.press("Escape")
        expect(self.page.locator("summary", has_text="No documents")).to_be_visible()

    def screenshot(self, name):
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def close(self):
        self.context.close()
        assert self.complaints == []


@pytest.fixture(scope="session")
def cookies(chromium, server):
    """A session for all tests: logging in is limited on purpose."""
    trip = Visit(chromium, server, **DESKTOP).log_in()
    cookies = trip.context.cookies()
    trip.close()
    return cookies


@pytest.fixture
def signed_in(visit, cookies):
    return lambda **options: visit(**options).open(cookies)


@pytest.fixture
def visit(chromium, server):
    visits = []

    def open_visit(at=server, **options):
        visits.append(Visit(chromium, at, **{**DESKTOP, **options}))
        return visits[-1]

    yield open_visit
    for each in visits:
        each.close()


def fits_the_width(page):
    return page.evaluate(
        "document.documentElement.scrollWidth <= innerWidth"
        " && document.getElementById('main').scrollWidth <= innerWidth")
