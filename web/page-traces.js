// The trace pages: what happened inside requests, and the waterfall of one.

import { listTraces, readTrace } from "./api.js";
import { button, element, failureMessage, sevenDots } from "./dom.js";
import { count, dateTime, duration } from "./format.js";
import { providePage } from "./lazy.js";
import { pause } from "./sse.js";
import { waterfall } from "./page-waterfall.js";

const pageSize = 50;
// Spans are written in batches: those of an answer that has just ended may still be on their way.
const attemptsMax = 6;
const attemptMilliseconds = 700;

providePage("traces", showTraces);
providePage("trace", showTrace);

async function showTraces(main, { signal }) {
  const list = element("ul", { class: "rows" });
  const more = button("Older traces", { class: "button small", hidden: true, onclick: showMore });
  main.replaceChildren(element("div", { class: "page" },
    element("h1", {}, "Traces"),
    element("p", { class: "lead" }, "What happened inside each request, newest first."), list, more));
  let before = null;

  async function load() {
    const traces = await listTraces(before, pageSize, signal);
    list.append(...traces.map(traceRow));
    if (!list.children.length) {
      list.append(element("li", { class: "empty" }, "Nothing yet. Ask something, then look here."));
    }
    before = traces.at(-1)?.startedAt;
    more.hidden = traces.length < pageSize;
  }

  async function showMore() {
    try {
      await load();
    } catch (error) {
      const message = failureMessage(error, () => {
        message.remove();
        showMore();
      });
      more.before(message);
    }
  }

  await load();
  return { title: "Traces" };
}

function traceRow(trace) {
  return element("li", { class: `row ${trace.hasError ? "failed" : ""}` },
    element("a", { class: "row-main", href: `#/traces/${trace.traceID}` },
      element("strong", {}, trace.name),
      element("span", { class: "hint" }, dateTime(trace.startedAt))),
    trace.hasError ? element("span", { class: "tag bad" }, "error") : null,
    element("span", { class: "hint row-side" },
      `${duration(trace.durationMilliseconds)} · ${count(trace.spanCount, "span")}`));
}

async function showTrace(main, { traceID, signal }) {
  const body = element("div", {}, sevenDots());
  main.replaceChildren(element("div", { class: "page wide" },
    element("p", { class: "crumb" }, element("a", { href: "#/traces" }, "Traces")),
    element("h1", {}, "Trace"),
    element("p", { class: "hint mono" }, traceID), body));
  try {
    body.replaceChildren(waterfall(await spansOf(traceID, signal)));
  } catch (error) {
    if (!signal.aborted) {
      body.replaceChildren(failureMessage(error, () => showTrace(main, { traceID, signal })));
    }
  }
  return { title: "Trace" };
}

async function spansOf(traceID, signal) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const spans = await readTrace(traceID, signal);
      if (spans.length || attempt >= attemptsMax) return spans;
    } catch (error) {
      if (error.status !== 404 || attempt >= attemptsMax) throw error;
    }
    await pause(attemptMilliseconds, signal);
  }
}
