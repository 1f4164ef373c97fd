// The start of the page: who is signed in, which page the address names, and the keys that work
// everywhere.

import { onSignedOut, readSession } from "./api.js";
import { showLogin, showSetup } from "./account.js";
import { showChat } from "./chat.js";
import { buildDrawer, closeDrawer, openDrawer, refreshChats, select } from "./chats.js";
import { showDocuments } from "./documents.js";
import { element, failureMessage, icon, iconButton } from "./dom.js";
import { lazyPage } from "./lazy.js";
import { closePanel, isPanelOpen } from "./passage.js";
import { showSpend } from "./spend.js";

const routes = [
  [/^\/$/, () => ({}), showChat],
  [/^\/chats\/([0-9a-f-]+)$/, ([chatID]) => ({ chatID }), showChat],
  [/^\/documents$/, () => ({}), showDocuments],
  [/^\/collections\/([0-9a-f-]+)$/, ([collectionID]) => ({ collectionID }),
    lazyPage("collection", "page-collection")],
  [/^\/search(?:\?(.*))?$/, ([query]) => ({ query: new URLSearchParams(query) }),
    lazyPage("search", "page-search", { hasStyle: true })],
  [/^\/traces$/, () => ({}), lazyPage("traces", "page-traces")],
  [/^\/traces\/([0-9a-f]+)$/, ([traceID]) => ({ traceID }), lazyPage("trace", "page-traces")],
  [/^\/spend$/, () => ({}), showSpend],
  [/^\/gateway$/, () => ({}), lazyPage("gateway", "admin-gateway")],
  [/^\/teams$/, () => ({}), lazyPage("teams", "admin-teams")],
  [/^\/keys$/, () => ({}), lazyPage("keys", "page-keys")],
];

const main = document.getElementById("main");
const bar = document.getElementById("bar");
let state = { isSignedIn: false, setupNeeded: false, notice: "" };
let visit = new AbortController();
let current = null;

const path = () => (location.hash.startsWith("#/") ? location.hash.slice(1) : "/");

/** Shows the page that the address names. What the last page was doing is given up. */
async function show() {
  visit.abort();
  visit = new AbortController();
  const { signal } = visit;
  current = null;
  closePanel();
  closeDrawer();
  select(path());
  try {
    const page = await open(path(), signal);
    if (signal.aborted) return;
    current = page;
    setTitle(page.title);
    if (!main.contains(document.activeElement)) main.focus({ preventScroll: true });
  } catch (error) {
    if (!signal.aborted) showFailure(error);
  }
}

function setTitle(title) {
  document.title = `${title} · Heptad`;
  bar.querySelector(".bar-title")?.replaceChildren(title);
}

async function open(address, signal) {
  const setup = /^\/setup\/([^/]+)$/.exec(address);
  if (setup) return showSetup(main, { token: setup[1], onSession: signIn });
  if (!state.isSignedIn) return showLogin(main, { ...state, onSession: signIn });
  for (const [pattern, parameters, showPage] of routes) {
    const match = pattern.exec(address);
    if (match) return showPage(main, { ...parameters(match.slice(1)), signal, setTitle });
  }
  location.replace("#/");
  return { title: "Heptad" };
}

function showFailure(error) {
  const isGone = error.status === 404;
  main.replaceChildren(element("div", { class: "page" },
    element("h1", {}, isGone ? "Not here" : "That did not work"),
    failureMessage(error, isGone ? null : show),
    isGone ? element("p", {}, element("a", { class: "button", href: "#/" }, "Start a new chat")) : ""));
}

function signIn() {
  state = { isSignedIn: true, setupNeeded: false, notice: "" };
  document.body.classList.remove("signed-out");
  buildDrawer();
  buildBar();
  refreshChats();
  if (/^#\/(setup|login)/.test(location.hash)) history.replaceState(null, "", "#/");
  show();
}

onSignedOut(() => {
  if (!state.isSignedIn) return;
  state = { isSignedIn: false, setupNeeded: false, notice: "Your session has ended. Log in to go on." };
  document.body.classList.add("signed-out");
  show();
});

function buildBar() {
  bar.replaceChildren(
    iconButton("menu", "Chats and pages", { onclick: openDrawer }),
    element("span", { class: "bar-title" }, "Heptad"),
    element("a", { class: "icon-button", href: "#/", "aria-label": "New chat" }, icon("plus")));
}

// Escape closes what lies on top; with nothing on top it stops the answer.
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  const picker = document.querySelector("details.picker[open]");
  if (picker) {
    picker.open = false;
    picker.querySelector("summary").focus();
  } else if (closeDrawer()) {
    return;
  } else if (isPanelOpen() && document.getElementById("panel").contains(document.activeElement)) {
    closePanel();
  } else if (!current?.stop?.()) {
    closePanel();
  }
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

document.addEventListener("pointerdown", (event) => {
  if (event.target === document.getElementById("app")) closeDrawer();
});

// A file dropped beside the places that take it must not replace the page.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());

async function start() {
  try {
    const { session, setupNeeded } = await readSession();
    state.setupNeeded = setupNeeded;
    addEventListener("hashchange", show);
    if (session) signIn();
    else await show();
  } catch (error) {
    main.replaceChildren(element("section", { class: "gate" },
      element("h1", {}, "Heptad"), failureMessage(error, start)));
  }
}

start();
