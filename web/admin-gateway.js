// The model gateway, for administrators: how providers and routes do, and the providers' keys. What
// is shown is read again every few seconds while the page is open.

import { addProviderKey, readGateway, removeProviderKey, replaceProviderKey } from "./api.js";
import { keyDialog } from "./admin-keydialog.js";
import { confirmed } from "./dialog.js";
import { button, element, failureMessage } from "./dom.js";
import { cost, count, dateTime, dollars, duration, number, percent } from "./format.js";
import { providePage } from "./lazy.js";

const refreshMilliseconds = 5000;

providePage("gateway", showGateway);

async function showGateway(main, { signal }) {
  const body = element("div", { class: "gateway" });
  const isReading = () => body.contains(document.activeElement);
  const refresh = async ({ isTimed = false } = {}) => {
    try {
      const figures = await readGateway(signal);
      // A reader who is in the middle of something by now is not disturbed.
      if (isTimed && isReading()) return;
      const focused = isReading() && document.activeElement.getAttribute("aria-label");
      draw(body, figures, refresh);
      if (focused) body.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
    } catch (error) {
      // What can be read stays; the next round may bring more.
      if (!signal.aborted && !isTimed) body.replaceChildren(failureMessage(error, refresh));
    }
  };
  main.replaceChildren(element("div", { class: "page wide" },
    element("h1", {}, "Model gateway"), body));
  await refresh();
  if (signal.aborted) return {};
  const timer = setInterval(() => {
    if (!document.hidden && !isReading()) refresh({ isTimed: true });
  }, refreshMilliseconds);
  signal.addEventListener("abort", () => clearInterval(timer));
  return { title: "Model gateway" };
}

function draw(body, { since, problems, providers, routes }, refresh) {
  body.replaceChildren(
    element("p", { class: "lead" }, `Figures since the start of the server, ${dateTime(since)}.`),
    ...problems.map((problem) => element("p", { class: "message failure" }, problem)),
    element("h2", {}, "Providers"),
    element("div", { class: "cards" }, providers.map((provider) => providerCard(provider, refresh))),
    element("h2", {}, "Routes"),
    ...routes.map(routeTable),
    routes.length ? "" : element("p", { class: "empty" }, "No routes yet."));
}

// Providers

function providerCard(provider, refresh) {
  const places = provider.runningMax ? ` of ${number(provider.runningMax)}` : "";
  return element("section", { class: "card", "aria-label": `Provider ${provider.name}` },
    element("div", { class: "card-head" },
      element("h3", {}, provider.name), element("span", { class: "tag" }, provider.kind),
      element("span", { class: "hint card-load" }, `${number(provider.running)}${places} running`,
        provider.waiting ? `, ${number(provider.waiting)} waiting` : "")),
    provider.models.length
      ? element("ul", { class: "models" }, provider.models.map(modelItem))
      : element("p", { class: "hint" }, "No route uses it."),
    provider.isLocal ? "" : keyList(provider, refresh));
}

function modelItem(model) {
  return element("li", { class: "model" },
    element("div", { class: "model-head" }, element("strong", {}, model.name), state(model.breaker)),
    element("dl", { class: "figures-row" },
      fact("Running", number(model.running)),
      fact("First word, p50 · p95", percentiles(model.firstTokenMilliseconds)),
      model.breaker ? fact("Failures", `${model.breaker.failures} of ${model.breaker.calls}`) : null,
      room("Requests left", model.requests), room("Tokens left", model.tokens)));
}

function state(breaker) {
  if (!breaker) return element("span", { class: "tag" }, "this machine");
  const since = breaker.since ? ` for ${duration(Math.max(0, Date.now() - new Date(breaker.since)))}` : "";
  if (breaker.state === "closed") return element("span", { class: "tag good" }, "well");
  if (breaker.state === "half_open") {
    return element("span", { class: "tag note" }, `being tried${since}`);
  }
  const wait = Math.max(0, new Date(breaker.nextProbeAt) - Date.now());
  return element("span", { class: "tag bad" },
    `left alone${since}, ${wait ? `tried again in ${duration(wait)}` : "the next call tries it"}`);
}

const fact = (label, value) =>
  element("div", {}, element("dt", {}, label), element("dd", {}, value));

function room(label, left) {
  if (!left) return null;
  const wait = Math.max(0, new Date(left.resetAt) - Date.now());
  return fact(label, `${number(left.remaining)}, reset in ${duration(wait)}`);
}

function percentiles({ p50, p95 }) {
  return p50 === undefined ? "–" : `${duration(p50)} · ${duration(p95)}`;
}

// Keys

function keyList(provider, refresh) {
  const { name, keys } = provider;
  const add = button("Set a key", { class: "button small", "aria-label": `Set a key of ${name}`,
    onclick: () => keyDialog({
      title: `A key of ${name}`, send: (key) => addProviderKey(name, key), done: refresh,
    }) });
  return element("div", { class: "provider-keys" },
    element("div", { class: "section-head" }, element("h4", {}, count(keys.length, "key")), add),
    element("ul", {}, keys.map((key) => keyItem(name, key, refresh))));
}

function keyItem(provider, key, refresh) {
  const shown = key.hint ? `…${key.hint}` : "a short key";
  const origin = key.source === "page"
    ? `set by ${key.setBy}, ${dateTime(key.setAt)}` : "from the configuration";
  return element("li", { class: "provider-key" },
    element("div", { class: "row-main" },
      element("span", {}, element("code", {}, shown), " ",
        key.isUsed ? null : element("span", { class: "tag" },
          key.source === "page" ? "cannot be opened" : "not used")),
      element("span", { class: "hint" }, origin),
      key.rests.map((rest) => element("span", { class: "hint resting" },
        `${restReasons[rest.reason] ?? rest.reason} for ${rest.model}, rests`
        + ` ${duration(Math.max(0, new Date(rest.until) - Date.now()))}`))),
    key.source === "page" ? keyActions(provider, key, shown, refresh) : null);
}

const restReasons = {
  throttled: "Had too many calls", credential: "Was refused", exhausted: "Has nothing left to spend",
};

function keyActions(provider, key, shown, refresh) {
  return element("div", { class: "key-actions" },
    button("Replace", { class: "link", "aria-label": `Replace the key ${shown} of ${provider}`,
      onclick: () => keyDialog({
        title: `Another key in place of ${shown}`,
        send: (text) => replaceProviderKey(provider, key.id, text), done: refresh,
      }) }),
    button("Remove", { class: "link danger-link",
      "aria-label": `Remove the key ${shown} of ${provider}`, onclick: async () => {
        const isSure = await confirmed({
          title: "Remove this key?",
          text: `Calls of ${provider} no longer use ${shown}. With no key left that was set here, the`
            + " configuration's are used.",
          action: "Remove", work: () => removeProviderKey(provider, key.id),
        });
        if (isSure) await refresh();
      } }));
}

// Routes

function routeTable(route) {
  const limit = route.costMax === undefined ? "" : `, at most ${dollars(route.costMax)} a request`;
  const hasShares = route.arms.some((arm) => arm.share !== undefined);
  const columns = ["Candidate", ...(hasShares ? ["Share"] : []), "Calls", "Failed", "Refused",
    "Cost per call", "First word", "Whole answer"];
  return element("section", { class: "route", "aria-label": `Route ${route.name}` },
    element("table", { class: "sheet-table arms" },
      element("caption", {}, element("strong", {}, route.name), " ",
        element("span", { class: "hint" },
          route.kind === "embeddings" ? "first that works" : policies[route.policy] ?? route.policy,
          limit)),
      element("thead", {}, element("tr", {}, columns.map((label, place) =>
        element("th", { scope: "col", class: place ? "align-right" : null,
          title: explanations[label] }, label)))),
      element("tbody", {}, route.arms.map((arm) => armRow(arm, columns)))));
}

const policies = {
  fallback: "first that works", weighted: "split by weight", tiered: "cheapest that can",
  fastest: "fastest first", least_busy: "least busy first",
};

const explanations = {
  "Share": "Of conversations, by weight",
  "Failed": "Calls that came to nothing",
  "Refused": "Answers that say no, were filtered, or had to be given again by another candidate",
  "First word": "Half of the answers begin sooner · 19 of 20 do",
  "Whole answer": "Half of the answers end sooner · 19 of 20 do",
};

function armRow(arm, columns) {
  const perCall = arm.calls ? arm.cost / arm.calls : 0;
  const refused = arm.refusals + arm.rejections;
  const values = {
    "Share": () => (arm.share === undefined ? "–" : percent(arm.share / 100)),
    "Calls": () => number(arm.calls),
    "Failed": () => rate(arm.failures, arm.calls),
    "Refused": () => rate(refused, arm.answers),
    "Cost per call": () => (arm.calls ? cost(Math.round(perCall)) : "–"),
    "First word": () => percentiles(arm.firstTokenMilliseconds),
    "Whole answer": () => percentiles(arm.totalMilliseconds),
  };
  return element("tr", {},
    element("th", { scope: "row" }, arm.candidate,
      arm.isLastResort ? element("span", { class: "tag" }, "last resort") : null),
    columns.slice(1).map((label) =>
      element("td", { class: "align-right", "data-label": label }, values[label]())));
}

const rate = (part, whole) => (whole ? `${number(part)} (${percent(part / whole)})` : number(part));
