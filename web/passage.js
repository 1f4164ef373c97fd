// The panel that shows a cited passage in its place in the document.

import { readDocument } from "./api.js";
import { announce, element, iconButton, sevenDots } from "./dom.js";

// Around the passage, in characters: enough to read on; the rest is one button away.
const contextCharacters = 12_000;

const panel = document.getElementById("panel");
let opener = null;
let loading = new AbortController();

export const isPanelOpen = () => !panel.hidden;

/** Opens the document at the passage; closing gives the focus back to `from`. */
export async function openPassage(passage, from) {
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
    showDocument(body, text, passage);
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
  return element("header", { class: "panel-head" },
    element("div", { class: "panel-title" },
      element("h2", {}, passage.documentName),
      passage.headings.length
        ? element("p", { class: "hint" }, passage.headings.join(" › ")) : null),
    iconButton("close", "Close the source", { onclick: closePanel }));
}

function showDocument(body, text, passage) {
  const start = offsetOfScalar(text, passage.start);
  const end = offsetOfScalar(text, passage.end);
  const from = Math.max(0, lineStart(text, start - contextCharacters));
  const to = Math.min(text.length, end + contextCharacters);
  const mark = element("mark", { tabindex: "-1" }, text.slice(start, end));
  const before = document.createTextNode(text.slice(from, start));
  const after = document.createTextNode(text.slice(end, to));
  body.replaceChildren(
    rest("Show the document from its start", from > 0, () => { before.data = text.slice(0, start); }),
    element("div", { class: "document" }, before, mark, after),
    rest("Show the document to its end", to < text.length, () => { after.data = text.slice(end); }));
  mark.scrollIntoView({ block: "center" });
  announce(`Source: ${text.slice(start, end)}`);
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
  const reason = error.status === 404
    ? "The document has been deleted since. This is the passage as it was read."
    : `${error.message} This is the passage as it was read.`;
  body.replaceChildren(
    element("p", { class: "message" }, reason),
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
