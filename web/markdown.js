// Markdown as DOM nodes, from the tokens of marked's lexer. Text reaches the page as text nodes, raw
// HTML is shown as it was written, and nothing is loaded from other hosts: images become links.

import { append, copyText, element } from "./dom.js";

// Longer answers, and deeper nesting, are shown as plain text: no model writes them for a reader.
const charactersMax = 300_000;
const depthMax = 24;

const linkProtocols = new Set(["http:", "https:", "mailto:"]);
const namedEntities = {
  amp: "&", lt: "<", gt: ">", quot: "\"", apos: "'", nbsp: "\u00a0", colon: ":", hellip: "…",
  ndash: "–", mdash: "—", copy: "©", reg: "®", times: "×", deg: "°", euro: "€", rarr: "→",
};

/**
 * The nodes of a Markdown text. `citations` makes `[1]` a button: `has(number)` says which numbers
 * are known, `button(number)` makes the node.
 */
export function renderMarkdown(text, citations = noCitations) {
  const tokens = lex(text);
  return tokens ? renderTokens(tokens, citations) : plain(text);
}

const noCitations = { has: () => false, button: () => null };

// Without marked in the build, or with text that breaks it, the text itself is what is shown.
function lex(text) {
  if (!globalThis.marked || text.length > charactersMax) return null;
  try {
    // marked takes an open code block for one only where its last line is complete.
    return globalThis.marked.lexer(text.endsWith("\n") ? text : `${text}\n`);
  } catch {
    return null;
  }
}

function renderTokens(tokens, citations) {
  return blocks(tokens, { citations, depth: 0, isInLink: false });
}

function plain(text) {
  return text === "" ? [] : [element("p", { class: "plain" }, text)];
}

/**
 * Markdown that grows at its end. Blocks that can no longer change are drawn once; only the last is
 * drawn again, at most once for each frame of the screen.
 */
export class GrowingMarkdown {
  #rest = "";
  #frame = 0;
  #live = element("div", { class: "live" });

  constructor(container, citations, onDraw = () => {}) {
    this.container = container;
    this.citations = citations;
    this.onDraw = onDraw;
    container.replaceChildren(this.#live);
  }

  append(text) {
    this.#rest += text;
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /** Stops growing; the caller draws what the text became. */
  end() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  #draw() {
    this.#frame = 0;
    // As marked's lexer does first, so that its tokens' lengths count these characters.
    this.#rest = this.#rest.replace(/\r\n?/g, "\n")
      .replace(/^( *)(\t+)/gm, (_, spaces, tabs) => spaces + "    ".repeat(tabs.length));
    const tokens = lex(this.#rest);
    if (!tokens) this.#live.replaceChildren(...plain(this.#rest));
    else this.#drawTokens(tokens);
    this.onDraw();
  }

  // A block is settled once another block has begun after it; blank lines do not end a list.
  #drawTokens(tokens) {
    const liveStart = tokens.findLastIndex((token) => token.type !== "space");
    const settled = tokens.slice(0, Math.max(0, liveStart));
    this.#rest = this.#rest.slice(settled.reduce((sum, token) => sum + token.raw.length, 0));
    this.#live.before(...renderTokens(settled, this.citations));
    this.#live.replaceChildren(...renderTokens(tokens.slice(settled.length), this.citations));
  }
}

function blocks(tokens, context) {
  return tokens.map((token) => block(token, context)).flat().filter((node) => node !== null);
}

function block(token, context) {
  if (context.depth > depthMax) return token.raw;
  const inner = { ...context, depth: context.depth + 1 };
  switch (token.type) {
  case "space":
  case "def": return null;
  case "heading": return heading(token, inner);
  case "paragraph": return element("p", {}, inlines(token.tokens, inner));
  case "text": return inlines(token.tokens ?? [token], inner);
  case "blockquote": return element("blockquote", {}, blocks(token.tokens, inner));
  case "list": return list(token, inner);
  case "code": return codeBlock(token);
  case "table": return table(token, inner);
  case "hr": return element("hr");
  default: return element("p", { class: "plain" }, token.raw.trimEnd());
  }
}

// The answer stands below the page's own headings.
function heading(token, context) {
  const level = Math.min(6, token.depth + 2);
  return element(`h${level}`, { class: `heading-${token.depth}` }, inlines(token.tokens, context));
}

function list(token, context) {
  const items = token.items.map((item) => listItem(item, context));
  if (!token.ordered) return element("ul", {}, items);
  return element("ol", { start: token.start === 1 ? null : token.start }, items);
}

function listItem(item, context) {
  const box = item.task
    ? element("input", { type: "checkbox", disabled: true, checked: item.checked === true,
      "aria-label": item.checked ? "Done" : "Not done" })
    : null;
  return element("li", { class: item.task ? "task" : null }, box, blocks(item.tokens, context));
}

function codeBlock(token) {
  const language = (token.lang ?? "").trim().split(/\s+/)[0];
  const copy = element("button", { type: "button", class: "copy",
    onclick: () => copyText(token.text, copy) }, "Copy");
  return element("figure", { class: "code" },
    element("figcaption", {}, element("span", {}, language || "text"), copy),
    element("pre", { tabindex: "0" }, element("code", {}, token.text)));
}

function table(token, context) {
  const cell = (tag, data, column) => element(
    tag, { class: token.align[column] ? `align-${token.align[column]}` : null,
      scope: tag === "th" ? "col" : null }, inlines(data.tokens, context));
  const head = element("tr", {}, token.header.map((data, column) => cell("th", data, column)));
  const rows = token.rows.map((row) =>
    element("tr", {}, row.map((data, column) => cell("td", data, column))));
  return element("div", { class: "table", role: "region", tabindex: "0", "aria-label": "Table" },
    element("table", {}, element("thead", {}, head), element("tbody", {}, rows)));
}

function inlines(tokens, context) {
  return tokens.map((token) => inline(token, context)).flat();
}

function inline(token, context) {
  if (context.depth > depthMax) return token.raw;
  const inner = { ...context, depth: context.depth + 1 };
  switch (token.type) {
  case "text": return token.tokens ? inlines(token.tokens, inner) : marks(decode(token.text), inner);
  case "escape": return decode(token.text);
  case "strong": return element("strong", {}, inlines(token.tokens, inner));
  case "em": return element("em", {}, inlines(token.tokens, inner));
  case "del": return element("del", {}, inlines(token.tokens, inner));
  case "codespan": return element("code", {}, decode(token.text));
  case "br": return element("br");
  case "link": return link(token, inner);
  case "image": return image(token, inner);
  default: return token.raw;
  }
}

function link(token, context) {
  // A document may define `[1]: https://…`: a mark stays a mark.
  if (/^\[\d+\]$/.test(token.raw)) {
    const nodes = marks(token.raw, context);
    if (nodes.length > 1 || typeof nodes[0] !== "string") return nodes;
  }
  const label = inlines(token.tokens ?? [], { ...context, isInLink: true });
  const address = safeAddress(decode(token.href));
  return address && !context.isInLink ? anchor(address, label) : [...label, unlinked(token)];
}

// The reader sees where a link that is not one would have led.
function unlinked(token) {
  const address = decode(token.href);
  return address && address !== decode(token.text) ? ` (${address})` : "";
}

function image(token, context) {
  const address = safeAddress(decode(token.href));
  const label = `Image: ${decode(token.text) || decode(token.href)}`;
  return address && !context.isInLink ? anchor(address, [label]) : label;
}

function anchor(address, label) {
  const node = element("a", { href: address, target: "_blank", rel: "noopener noreferrer" });
  append(node, label);
  return node;
}

function safeAddress(text) {
  try {
    const address = new URL(text);
    return linkProtocols.has(address.protocol) ? address.href : null;
  } catch {
    return null;
  }
}

const joiner = "\u2060";

// Splits text at citation marks: `[1]`, and `[1, 2]` where a model writes several as one.
function marks(text, context) {
  if (context.isInLink) return [text];
  return text.split(/(\[\d{1,3}(?:\s*,\s*\d{1,3})*\])/).flatMap((part, place) => {
    if (part === "") return [];
    const numbers = place % 2 ? part.match(/\d+/g).map(Number) : [];
    const isKnown = numbers.length > 0 && numbers.every((number) => context.citations.has(number));
    if (!isKnown) return [part];
    // A word joiner on both sides: no mark begins a line, and no full stop behind one does.
    return [joiner, ...numbers.map((number) => context.citations.button(number)), joiner];
  });
}

/** Text that marked has escaped for HTML, as it was meant. Unknown entities stay as written. */
function decode(text) {
  return text.replace(/&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z]{2,8}));/g,
    (whole, decimal, hexadecimal, name) => {
      if (name) return namedEntities[name] ?? whole;
      return character(decimal ? parseInt(decimal, 10) : parseInt(hexadecimal, 16));
    });
}

function character(codePoint) {
  const isSurrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
  if (codePoint === 0 || codePoint > 0x10ffff || isSurrogate) return "\ufffd";
  return String.fromCodePoint(codePoint);
}
