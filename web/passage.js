// The panel that shows a cited passage in its place in the document.

import { readDocument } from "./api.js";
import { announce, element, iconButton, sevenDots } from "./dom.js";

// Around the passage, in characters: enough to read on; the rest is one button away.
const contextCharacters = 12_000;

const panel = document.getElementById("panel");
let opener = null;
let loading = new AbortController();

export const isPanelOpen = () => !panel.hidden;

/**
 * Opens the document at the passage; closing gives the focus back to `from`. `evidence` are stretches
 * of the document, in scalars, that bear an answer out: they stand out in the passage.
 */
export async function openPassage(passage, from, evidence = []) {
  opener = from;
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  const body = element("div", { class: "panel-body", tabindex: "0" }, sevenDots());
  panel.replaceChildren(panelHead(passage), body);
  panel.hidden = false;
  document.body.classList.add("panel-open");
  panel.querySelector("button").focus();
  try {
    const { text } = await readDocument(passage.documentID, signal);
    showDocument(body, text, passage, evidence);
  } catch (error) {
    if (!signal.aborted) showPassageAlone(body, passage, error);
  }
}

export function closePanel() {
  if (panel.hidden) return;
  loading.abort();
  panel.hidden = true;
  panel.replaceChildren();
  document.body.classList.remove("panel-open");
  opener?.focus();
  opener = null;
}

function panelHead(passage) {
  const last = passage.headings.at(-1);
  const page = /^Page \d+( – Page \d+)?$/.test(last) ? last : null;
  const path = page ? passage.headings.slice(0, -1) : passage.headings;
  return element("header", { class: "panel-head" },
    element("div", { class: "panel-title" },
      element("h2", {}, passage.documentName, page ? [" ", element("span", { class: "tag" }, page)] : null),
      path.length ? element("p", { class: "hint" }, path.join(" › ")) : null),
    iconButton("close", "Close the source", { onclick: closePanel }));
}

function showDocument(body, text, passage, evidence) {
  let start = offsetOfScalar(text, passage.start);
  if (!text.startsWith(passage.text, start)) start = text.indexOf(passage.text);
  if (start < 0) return showPassageAlone(body, passage, { status: 410 });
  const end = start + passage.text.length;
  const from = Math.max(0, lineStart(text, start - contextCharacters));
  const to = Math.min(text.length, end + contextCharacters);
  const mark = element("mark", { tabindex: "-1" }, passagePieces(passage, evidence));
  const before = document.createTextNode(text.slice(from, start));
  const after = document.createTextNode(text.slice(end, to));
  body.replaceChildren(
    rest("Show the document from its start", from > 0, () => { before.data = text.slice(0, start); }),
    element("div", { class: "document" }, before, mark, after),
    rest("Show the document to its end", to < text.length, () => { after.data = text.slice(end); }));
  (mark.querySelector(".evidence") ?? mark).scrollIntoView({ block: "center" });
  announce(`Source: ${passage.text}`);
}

// The passage's text, with what bears the answer out as nodes of their own.
function passagePieces({ text, start: origin }, evidence) {
  const pieces = [];
  let place = 0;
  for (const [from, to] of [...evidence].sort(([left], [right]) => left - right)) {
    const start = Math.max(place, offsetOfScalar(text, from - origin));
    const end = offsetOfScalar(text, to - origin);
    if (end <= start) continue;
    pieces.push(text.slice(place, start),
      element("b", { class: "evidence", title: "The answer rests on this" }, text.slice(start, end)));
    place = end;
  }
  return [...pieces, text.slice(place)];
}

function rest(label, isCut, show) {
  if (!isCut) return "";
  const more = element("button", { type: "button", class: "button small", onclick: () => {
    show();
    more.remove();
  } }, label);
  return more;
}

function showPassageAlone(body, passage, error) {
  const reasons = { 404: "The document has been deleted since.", 410: "The document has changed since." };
  body.replaceChildren(
    element("p", { class: "message" },
      `${reasons[error.status] ?? error.message} This is the passage as it was read.`),
    element("div", { class: "document" }, element("mark", {}, passage.text)));
}

/** Where the scalar of that number begins in the string's UTF-16 units. */
export function offsetOfScalar(text, scalar) {
  let offset = 0;
  for (let passed = 0; passed < scalar && offset < text.length; passed += 1) {
    offset += text.codePointAt(offset) > 0xffff ? 2 : 1;
  }
  return offset;
}

function lineStart(text, offset) {
  return offset <= 0 ? 0 : text.indexOf("\n", offset) + 1;
}
