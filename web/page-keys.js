// The API keys page. A key is shown once, when it is made.

import { createKey, listKeys, revokeKey } from "./api.js";
import { confirmed } from "./dialog.js";
import { button, copyText, element, failureMessage, icon } from "./dom.js";
import { dateTime } from "./format.js";
import { providePage } from "./lazy.js";

providePage("keys", showKeys);

async function showKeys(main, { signal }) {
  const list = element("div", {});
  const made = element("div", { role: "status" });
  const refresh = async () => {
    try {
      drawKeys(list, await listKeys(signal), refresh);
    } catch (error) {
      if (!signal.aborted) list.replaceChildren(failureMessage(error, refresh));
    }
  };
  main.replaceChildren(element("div", { class: "page" },
    element("h1", {}, "API keys"),
    element("p", { class: "lead" }, "For your own programs: any OpenAI client works with ",
      element("code", {}, `${location.origin}/v1`), " and a key. What it calls is on your account."),
    newKeyForm(made, refresh), made, list));
  await refresh();
  return { title: "API keys" };
}

function newKeyForm(made, refresh) {
  const name = element("input", { id: "key-name", required: true, maxlength: "100",
    placeholder: "For example: laptop" });
  const problem = element("p", { class: "problem", role: "alert" });
  return element("form", { class: "line-form", onsubmit: async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      made.replaceChildren(newKey(await createKey(name.value.trim())));
      name.value = "";
      await refresh();
    } catch (error) {
      problem.textContent = error.message;
    }
  } },
  element("label", { for: "key-name" }, "Name of the new key"),
  element("div", { class: "line" }, name, button("Create key", { class: "button primary", type: "submit" })),
  problem);
}

function newKey({ name, key }) {
  const copy = button("Copy", { class: "button small", onclick: () => copyText(key, copy) });
  const call = `curl ${location.origin}/v1/models -H "Authorization: Bearer ${key}"`;
  return element("div", { class: "message secret" },
    element("p", {}, element("strong", {}, `“${name}” is shown only now.`),
      " Copy it to where it will be used; the server keeps only a hash."),
    element("div", { class: "line" }, element("code", { class: "key" }, key), copy),
    element("p", { class: "hint" }, "Try it:"),
    element("pre", { class: "sample", tabindex: "0" }, call));
}

function drawKeys(list, keys, refresh) {
  if (!keys.length) {
    list.replaceChildren(element("p", { class: "empty" }, "No keys yet."));
    return;
  }
  list.replaceChildren(element("ul", { class: "rows" }, keys.map((key) => element("li", { class: "row" },
    icon("key"),
    element("div", { class: "row-main" }, element("strong", {}, key.name),
      element("span", { class: "hint mono" }, `${key.prefix}…`)),
    element("span", { class: "hint row-side" }, key.lastUsedAt
      ? `used ${dateTime(key.lastUsedAt)}` : `made ${dateTime(key.createdAt)}, not used yet`),
    button("Revoke", { class: "link danger-link", "aria-label": `Revoke ${key.name}`,
      onclick: () => revoke(key, refresh) })))));
}

async function revoke(key, refresh) {
  const isSure = await confirmed({
    title: "Revoke this key?", text: `Programs that use “${key.name}” are refused from then on.`,
    action: "Revoke", work: () => revokeKey(key.id),
  });
  if (isSure) await refresh();
}
