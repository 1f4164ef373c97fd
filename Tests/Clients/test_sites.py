"""Sites and pages of the web: by the command line, the API and the page, from a site on loopback."""

import gzip
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from playwright.sync_api import expect

from conftest import JOB_SECONDS, OWNER, QUICK, Client, Server
from browser import DESKTOP, Visit, fits_the_width


class Site:
    """What it has at each path, and what it was asked."""

    def __init__(self):
        site = self
        self.files = {}
        self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append((self.path, self.headers.get("User-Agent")))
                status, kind, body = site.files.get(self.path, (404, "text/plain", b"no"))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def page(self, path, text):
        body = f"<html><head><title>{path}</title></head><body><p>{text}</p></body></html>"
        self.files[path] = (200, "text/html; charset=utf-8", body.encode())

    def map(self, path, pages, packed=False):
        body = "".join(f"<url><loc>{self.address}{page}</loc></url>" for page in pages)
        body = ('<?xml version="1.0" encoding="UTF-8"?>'
                '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
                f"{body}</urlset>").encode()
        self.files[path] = (200, "application/xml", gzip.compress(body) if packed else body)

    def index(self, path, maps):
        body = "".join(f"<sitemap><loc>{self.address}{each}</loc></sitemap>" for each in maps)
        self.files[path] = (200, "application/xml", f"<sitemapindex>{body}</sitemapindex>".encode())


@pytest.fixture
def site():
    site = Site()
    site.page("/boats", "The ferry Albatross leaves the harbour at nine.")
    site.page("/lamps", "The keeper trims the lamp at nightfall.")
    site.page("/secret/door", "The secret door is green.")
    site.files["/robots.txt"] = (
        200, "text/plain",
        f"User-agent: *\nDisallow: /secret\nSitemap: {site.address}/maps.xml\n".encode())
    site.index("/maps.xml", ["/one.xml", "/two.xml.gz"])
    site.map("/one.xml", ["/boats", "/secret/door"])
    site.map("/two.xml.gz", ["/lamps"], packed=True)
    yield site
    site.server.shutdown()


@pytest.fixture
def open_server(tmp_path, site):
    """A server that may reach the site, which is on loopback."""
    host = site.address.removeprefix("http://")
    server = Server(tmp_path, QUICK + f"""
egress:
  allowed_targets: ["{host}"]
retrieval:
  site_delay_seconds: 0
""").start()
    setup = {"token": server.setup_token, "name": OWNER[0], "password": OWNER[1]}
    assert httpx.post(f"{server.address}/api/setup", json=setup).status_code == 201
    yield server
    server.stop()


def heptad(server, *arguments, check=True):
    return subprocess.run(
        [server.binary, *arguments, *server.options], text=True, check=check, capture_output=True,
        cwd=server.data, timeout=JOB_SECONDS)


def test_a_site_is_added_and_added_again_by_the_command_line(open_server, site):
    out = heptad(open_server, "ingest", site.address, "--sitemap", "--collection", "Web").stdout
    assert "2 pages added, 1 page left out as robots.txt asks." in out
    assert "/secret/door" not in [path for path, _ in site.asked]
    assert all(agent == "Heptad" for _, agent in site.asked)
    found = heptad(open_server, "search", "When does the ferry leave?", "--collection", "Web").stdout
    assert "Albatross" in found
    again = heptad(open_server, "ingest", site.address, "--sitemap", "--collection", "Web").stdout
    assert "2 pages unchanged" in again
    site.page("/boats", "The ferry Gull leaves the harbour at ten.")
    site.map("/two.xml.gz", ["/boats"], packed=True)
    pruned = heptad(open_server, "ingest", site.address, "--sitemap", "--collection", "Web",
                    "--prune").stdout
    assert "1 page changed, 1 page removed" in pruned
    # A second run without a server that runs: it opens the folder itself.
    wrong = heptad(open_server, "ingest", "notes.txt", "--sitemap", check=False)
    assert wrong.returncode != 0 and "addresses only" in wrong.stderr


def test_a_site_is_added_by_the_api_and_refused_in_words(open_server, site):
    with Client(open_server, open_server.token) as client:
        answer = client.post("/api/documents/from-sitemap", json={"url": f"{site.address}/one.xml"})
        assert answer.status_code == 202
        job = client.job(answer.json()["jobID"])
        assert job["state"] == "completed" and "1 page added" in job["message"], job
        for url, words in [
            (f"{site.address}/boats.xml", "404"),
            ("http://127.0.0.1:9/sitemap.xml", "not"), ("http://169.254.169.254/", "not"),
        ]:
            answer = client.post("/api/documents/from-sitemap", json={"url": url})
            job = client.job(answer.json()["jobID"])
            assert job["state"] == "failed" and words in job["message"], job
        assert client.post(
            "/api/documents/from-sitemap", json={"url": "file:///etc/passwd"}).status_code == 400


def test_the_page_adds_pages_and_sites_with_progress(chromium, open_server, site):
    trip = Visit(chromium, open_server, **DESKTOP).log_in()
    page = trip.page
    page.goto("/#/documents")
    page.get_by_text("Add from the web").click()
    address = page.get_by_label("Address of a page, a file or a site")
    expect(address).to_be_focused()
    address.fill(f"{site.address}/lamps")
    page.keyboard.press("Enter")
    expect(page.locator(".row.ready", has_text="lamps")).to_be_visible(timeout=JOB_SECONDS * 1000)
    expect(page.locator(".upload.ready")).to_contain_text("is ready")

    address.fill(site.address)
    page.get_by_label("The whole site, by its site map").check()
    expect(page.get_by_label("Also pages that the site map names on other hosts")).to_be_visible()
    page.get_by_role("button", name="Add", exact=True).click()
    row = page.locator(".upload", has_text=site.address).last
    expect(row).to_contain_text("1 page added, 1 page unchanged", timeout=JOB_SECONDS * 1000)
    expect(page.locator(".row.ready", has_text="boats")).to_be_visible()
    # What cannot be is said where it was asked for.
    trip.expected.append("/from-url")
    page.get_by_label("The whole site, by its site map").uncheck()
    address.fill(f"{site.address}/nothing")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="404")).to_be_visible()
    expect(address).to_be_focused()
    page.get_by_label("The whole site, by its site map").check()
    address.fill(f"{site.address}/nothing.xml")
    page.keyboard.press("Enter")
    expect(page.locator(".upload.failed")).to_contain_text("404", timeout=JOB_SECONDS * 1000)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1280, 768, 320):
            page.set_viewport_size({"width": width, "height": 1000})
            page.wait_for_timeout(400)
            trip.screenshot(f"web-{scheme}-{width}")
            assert fits_the_width(page), width
    page.get_by_role("button", name=f"Dismiss {site.address}/nothing.xml").click()
    expect(page.locator(".upload.failed")).to_have_count(0)
    trip.close()
