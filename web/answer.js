// One answer on the page: takes the events of its turn, and shows how it ended.

import { announce, append, button, copyText, element, sevenDots } from "./dom.js";
import { cost, count, duration } from "./format.js";
import { GrowingMarkdown, renderMarkdown } from "./markdown.js";
import { openPassage } from "./passage.js";
import { drawDoubts, evidenceFor, markDoubts, verdictSummary } from "./verdicts.js";

const endings = {
  cancelled: "You stopped this answer.",
  interrupted: "The server stopped before this answer was complete. What it wrote is kept.",
  failed: "This answer failed.",
};
const finishes = {
  length: "The answer reached its length limit and ends here.",
  contentFilter: "The provider's content filter ended this answer.",
};
const announcedCharactersMax = 1500;

export class AnswerView {
  #passages = new Map();
  #body = element("div", { class: "prose" });
  #phase = element("p", { class: "phase" });
  #foot = element("footer", { class: "receipt" });
  #growing = null;
  #notices = new Set();
  #verdicts = null;
  // Documents are being read in parts: what stands here by now is a quotation.
  #isReading = false;
  /** Where it is explained why the answer has these sources. */
  whyAddress = null;

  /** `onRetry` asks the same question again; `onDraw` runs when the answer has grown. */
  constructor({ onRetry = null, onDraw = () => {} } = {}) {
    this.onRetry = onRetry;
    this.onDraw = onDraw;
    this.node = element("article", { class: "answer", "aria-label": "Answer" },
      this.#phase, this.#body, this.#foot);
  }

  /** An answer that is being written; `text` is what is known of it until its events arrive. */
  begin(text = "") {
    this.node.setAttribute("aria-busy", "true");
    this.#body.replaceChildren(...renderMarkdown(text));
    this.#show(text ? "Catching up" : "Looking through your documents");
    return this;
  }

  /** Takes one event of the turn; true when it was the last. */
  take(name, data) {
    switch (name) {
    case "passages": this.#takePassages(data.passages); return false;
    case "text": this.#takeText(data.text); return false;
    case "notice": this.#notices.add(data.notice); return this.#say(data.notice);
    case "progress":
      this.#isReading = data.done < data.total;
      this.#show(data.message);
      return false;
    case "ended": this.end(data, { isNew: true }); return true;
    default: return false;
    }
  }

  // Before a text there is room to say why it takes a while.
  #say(notice) {
    if (!this.#growing) this.#foot.append(element("p", { class: "notice" }, notice));
    return false;
  }

  #takePassages(passages) {
    passages.forEach((passage, place) => this.#passages.set(place + 1, { passage }));
    const found = passages.length
      ? `Found ${count(passages.length, "passage")}, reading` : "No passage matches, thinking";
    this.#show(found);
  }

  #takeText(text) {
    this.#growing ??= new GrowingMarkdown(this.#body, this.#citations(), this.onDraw);
    this.#growing.append(text);
    if (!this.#isReading) this.#show("Writing");
  }

  /** Says that the connection is away, or back. */
  setConnected(isConnected) {
    this.node.classList.toggle("waiting", !isConnected);
    if (!isConnected) this.#show("Connection lost, reconnecting");
  }

  #show(phase) {
    if (this.#phase.dataset.phase === phase) return;
    this.#phase.dataset.phase = phase;
    this.#phase.replaceChildren(sevenDots(), `${phase}…`);
  }

  /** Shows the complete answer in place of what was streamed. */
  end(outcome, { isNew = false } = {}) {
    this.#close();
    for (const citation of outcome.citations) this.#passages.set(citation.number, citation);
    for (const notice of outcome.notices) this.#notices.add(notice);
    this.#verdicts = outcome.verdicts;
    const marked = markDoubts(outcome.text, outcome.verdicts);
    this.#body.replaceChildren(...renderMarkdown(marked, this.#citations()));
    drawDoubts(this.#body, outcome.verdicts);
    this.#foot.replaceChildren();
    append(this.#foot, [
      this.#sources(outcome.citations), this.#noticeList(outcome), this.#figures(outcome),
    ]);
    if (isNew) announce(`Answer: ${outcome.text || outcome.failure || endings[outcome.state]}`
      .slice(0, announcedCharactersMax));
    this.onDraw();
  }

  /** An answer of which only the text is known. */
  showText(text, state) {
    this.end({ state, text, citations: [], notices: [], completion: null, failure: null,
      traceID: null, totalMilliseconds: 0 });
  }

  /** The answer cannot be followed: what is there stays, with the reason. */
  fail(error, reconnect) {
    this.#close();
    this.#foot.replaceChildren(element("div", { class: "message failure", role: "alert" },
      element("p", {}, error.message),
      button("Reconnect", { class: "button small", onclick: reconnect })));
  }

  #close() {
    this.#growing?.end();
    this.#growing = null;
    this.node.removeAttribute("aria-busy");
    this.node.classList.remove("waiting");
    this.#phase.remove();
  }

  #citations() {
    return {
      has: (number) => this.#passages.has(number),
      button: (number) => {
        const { passage } = this.#passages.get(number);
        const mark = button(String(number), { class: "citation",
          "aria-label": `Source ${number}: ${passage.documentName}`, title: sourceTitle(passage),
          onclick: () => openPassage(passage, mark, evidenceFor(number, this.#verdicts)) });
        return mark;
      },
    };
  }

  #sources(citations) {
    if (!citations.length) return null;
    const items = citations.map(({ number, passage, origin }) => {
      const source = button("", { class: "source", title: sourceTitle(passage),
        onclick: () => openPassage(passage, source, evidenceFor(number, this.#verdicts)) },
      element("span", { class: "source-number" }, String(number)),
      element("span", { class: "source-name" }, passage.documentName),
      passage.headings.length
        ? element("span", { class: "source-heading" }, passage.headings.at(-1)) : null,
      ["quoted", "closest"].includes(origin) ? element("span", { class: "tag" }, origin) : null);
      return element("li", {}, source);
    });
    return element("ol", { class: "sources", "aria-label": "Sources" }, items);
  }

  #noticeList(outcome) {
    const { state, failure, completion } = outcome;
    const ending = state === "failed" ? failure ?? endings.failed : endings[state];
    const sentences = [...this.#notices, finishes[completion?.finishReason]].filter(Boolean);
    return [
      sentences.map((sentence) => element("p", { class: "notice" }, sentence)),
      ending ? this.#ending(state, ending) : null,
    ];
  }

  #ending(state, sentence) {
    return element("div", { class: `message ${state}`, role: state === "failed" ? "alert" : null },
      element("p", {}, sentence),
      this.onRetry ? button("Ask again", { class: "button small", onclick: this.onRetry }) : null);
  }

  #figures(outcome) {
    const { completion, traceID, text } = outcome;
    const copy = text
      ? button("Copy", { class: "link", onclick: () => copyText(text, copy) }) : null;
    const trace = traceID
      ? element("a", { class: "link", href: `#/traces/${traceID}` }, "Trace") : null;
    const why = this.whyAddress
      ? element("a", { class: "link", href: this.whyAddress }, "Why these sources?") : null;
    const borneOut = verdictSummary(outcome.verdicts);
    return element("div", { class: "figures" },
      borneOut ? element("span", { class: "borne-out" }, borneOut) : null,
      completion ? completionFigures(completion, outcome.totalMilliseconds) : null, copy, trace, why);
  }
}

function sourceTitle(passage) {
  return [passage.documentName, ...passage.headings].join(" › ");
}

function completionFigures({ candidate, usage, cost: amount, firstTokenMilliseconds }, total) {
  const input = usage.freshInput + usage.cacheRead + usage.cacheWrite;
  const about = usage.isEstimated ? "about " : "";
  const cached = usage.cacheRead ? `, ${usage.cacheRead.toLocaleString("en-US")} cached` : "";
  const first = firstTokenMilliseconds === null || firstTokenMilliseconds === undefined
    ? "" : `, first word after ${duration(firstTokenMilliseconds)}`;
  return [
    element("span", { class: "figure-cost", title: "What this answer cost" }, cost(amount)),
    element("span", { title: `${input} tokens read${cached}, ${usage.output} written` },
      `${about}${count(input, "token")} in, ${usage.output.toLocaleString("en-US")} out`),
    element("span", { title: `Whole turn${first}` }, duration(total)),
    element("span", { title: "Who answered" }, candidate),
  ];
}
