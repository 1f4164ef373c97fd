// The spans of one trace as nested bars over time.

import { element } from "./dom.js";
import { count, duration } from "./format.js";

const ticks = 4;
const depthMax = 12;

// A span's colour is that of the layer it belongs to, told by its name; the first match decides.
const layers = [
  ["gateway", "Gateway", /^(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|HTTP)\b/i],
  ["inference", "Inference", /^(chat|embeddings)\b/i],
  ["accounting", "Accounting", /^account\b|reserve|settle/i],
  ["retrieval", "Retrieval", /retriev|search|embed|ingest|index/i],
  ["orchestration", "Orchestration", /turn|job|prompt|attribut/i],
];

export function waterfall(spans) {
  if (!spans.length) return element("p", { class: "empty" }, "This trace has no spans.");
  const scale = scaleOf(spans);
  const failed = spans.filter(({ error }) => error).length;
  return element("div", { class: "waterfall" },
    element("p", { class: "lead" },
      `${duration(scale.length)} in ${count(spans.length, "span")}`
      + (failed ? `, ${count(failed, "error")}` : "")),
    legend(spans), axis(scale),
    element("ol", { class: "spans" }, inOrder(spans).map(({ span, depth }) => row(span, depth, scale))));
}

function scaleOf(spans) {
  const starts = spans.map(({ startedAt }) => Date.parse(startedAt));
  const start = Math.min(...starts);
  const ends = spans.map((span, place) => starts[place] + span.durationMilliseconds);
  return { start, length: Math.max(0.001, Math.max(...ends) - start) };
}

/** The spans with how deep each is nested, children after their parent, by start time. */
export function inOrder(spans) {
  const known = new Set(spans.map(({ spanID }) => spanID));
  const children = new Map();
  for (const span of spans) {
    // A parent in another process is not among these: its children begin here.
    const parent = known.has(span.parentID) && span.parentID !== span.spanID ? span.parentID : "";
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const placed = [];
  const visit = (parent, depth) => {
    for (const span of children.get(parent) ?? []) {
      placed.push({ span, depth: Math.min(depth, depthMax) });
      visit(span.spanID, depth + 1);
    }
  };
  visit("", 0);
  return placed;
}

const layerOf = ({ name }) => layers.find(([, , pattern]) => pattern.test(name))?.[0] ?? "other";

function legend(spans) {
  const used = new Set(spans.map(layerOf));
  const items = layers.filter(([key]) => used.has(key)).map(([key, label]) =>
    element("li", {}, element("i", { class: `swatch layer-${key}` }), label));
  return element("ul", { class: "legend", "aria-label": "Layers" }, items);
}

function axis({ length }) {
  const labels = Array.from({ length: ticks + 1 }, (_, tick) =>
    element("span", {}, duration(length * tick / ticks)));
  return element("div", { class: "axis", "aria-hidden": "true" }, labels);
}

function row(span, depth, scale) {
  const start = Date.parse(span.startedAt) - scale.start;
  const bar = element("i", { class: `bar-fill layer-${layerOf(span)}` });
  bar.style.left = `${100 * start / scale.length}%`;
  bar.style.width = `${100 * span.durationMilliseconds / scale.length}%`;
  const label = element("span", { class: "span-name" }, span.name);
  label.style.paddingInlineStart = `${depth * 0.9}rem`;
  const details = element("div", { class: "span-details", hidden: true });
  const head = element("button", { type: "button", class: "span-head", "aria-expanded": "false",
    onclick: () => {
      if (!details.children.length) details.append(...detailNodes(span, start));
      details.hidden = !details.hidden;
      head.setAttribute("aria-expanded", String(!details.hidden));
    } },
  label, element("span", { class: "span-bar" }, bar),
  element("span", { class: "span-time" }, duration(span.durationMilliseconds)));
  return element("li", { class: span.error ? "span failed" : "span" }, head, details);
}

function detailNodes(span, start) {
  const facts = {
    Started: `${duration(start)} after the request`, Took: duration(span.durationMilliseconds),
    Kind: span.kind, Span: span.spanID,
  };
  return [
    span.error ? element("p", { class: "problem" }, span.error) : "",
    factList({ ...facts, ...Object.fromEntries(Object.entries(span.attributes).sort()) }),
    ...span.events.map((event) => element("div", { class: "span-event" },
      element("strong", {}, event.name),
      factList({ At: event.at, ...event.attributes }))),
  ];
}

function factList(facts) {
  return element("dl", { class: "facts" }, Object.entries(facts).map(([name, value]) =>
    [element("dt", {}, name), element("dd", {}, value)]));
}
