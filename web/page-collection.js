// One collection: its name, who has a part in it, how it is searched, and what it holds. Its owner
// changes it; whoever may write moves documents.

import { listCollections, listDocuments, removeCollection, request } from "./api.js";
import { confirmed } from "./dialog.js";
import { announce, button, element, failureMessage, icon, iconButton } from "./dom.js";
import { bytes, count, number } from "./format.js";
import { providePage } from "./lazy.js";

providePage("collection", showCollection);

const write = (method, path, body) => request(method, path, { body });

async function showCollection(main, { collectionID, signal, setTitle }) {
  const body = element("div", { class: "page" });
  main.replaceChildren(body);
  const tags = new Set();
  const refresh = async (edited) => {
    try {
      const collections = await listCollections(signal);
      const collection = collections.find(({ id }) => id === collectionID);
      if (!collection) throw Object.assign(new Error("There is no such collection."), { status: 404 });
      const path = `/api/collections/${encodeURIComponent(collectionID)}`;
      const isOwn = collection.access === "own";
      const [documents, shares, teams] = await Promise.all([
        listDocuments(collectionID, signal),
        isOwn ? read(`${path}/shares`, "shares", signal) : [],
        isOwn ? read("/api/teams", "teams", signal) : [],
      ]);
      if (signal.aborted) return;
      draw(body, { collection, collections, documents, shares, teams, path, isOwn, tags }, refresh);
      setTitle(collection.name);
      // Whoever adds one tag may add another.
      if (edited) body.querySelector(`[data-document="${CSS.escape(edited)}"] input`)?.focus();
    } catch (error) {
      if (!signal.aborted) body.replaceChildren(failureMessage(error, refresh));
    }
  };
  await refresh();
  return { title: body.querySelector("h1")?.textContent ?? "Collection" };
}

const read = async (path, name, signal) => (await (await request("GET", path, { signal })).json())[name];

function draw(body, page, refresh) {
  const { collection, isOwn } = page;
  body.replaceChildren(
    element("p", {}, element("a", { href: "#/documents" }, "All documents")),
    element("h1", {}, collection.name),
    element("p", { class: "lead" }, isOwn ? "A collection of yours." : `Belongs to ${
      collection.ownerName ?? "somebody who is gone"}; you may ${
      collection.access === "write" ? "read it, add to it and remove from it." : "read it."}`),
    usage(collection),
    ...(isOwn ? [sharing(page, refresh), settings(page, refresh)] : []),
    element("h2", {}, "Documents"), documentRows(page, refresh),
    isOwn ? danger(page) : "");
}

function usage({ documentCount, documentsMax, byteCount, bytesMax }) {
  const meter = (label, used, most, text) => element("div", { class: "budget" },
    element("span", {}, `${label}: ${text(used)} of ${text(most)}`),
    element("meter", { min: "0", max: String(most), value: String(used), high: String(most * .9),
      "aria-label": label }));
  return element("section", { "aria-label": "Quota" },
    meter("Documents", documentCount, documentsMax, number), meter("Files", byteCount, bytesMax, bytes));
}

// What is sent, and a sentence where it was refused.
function form(label, children, action, send) {
  const problem = element("p", { class: "problem", role: "alert" });
  return element("form", { class: "line-form", "aria-label": label, onsubmit: async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      await send();
    } catch (error) {
      problem.textContent = error.message;
    }
  } }, ...children, action && element("p", { class: "line" },
    button(action, { class: "button", type: "submit" })), problem);
}

// Sharing

function sharing({ path, shares, teams }, refresh) {
  const name = element("input", { id: "share-name", required: true, maxlength: "64",
    placeholder: "A user's name", autocapitalize: "none", list: "share-teams" });
  const kind = options("share-kind", "user", [["user", "User"], ...(teams.length ? [["team", "Team"]] : [])]);
  const access = options("share-access", "read", [["read", "may read"], ["write", "may read and write"]]);
  return element("section", {},
    element("h2", {}, "Shared with"),
    shares.length ? element("ul", { class: "rows" }, shares.map((share) => shareRow(share, path, refresh)))
      : element("p", { class: "empty" }, "Nobody else. Only you can search and open it."),
    form("Share", [
      element("label", { for: "share-name" }, "Share it with"),
      element("div", { class: "line" }, kind, name, access,
        button("Share", { class: "button", type: "submit" })),
      element("datalist", { id: "share-teams" },
        teams.map((team) => element("option", { value: team.name }, `Team ${team.name}`))),
    ], null, async () => {
      await write("PUT", `${path}/shares`, { [kind.value]: name.value.trim(), access: access.value });
      announce(`Shared with ${name.value.trim()}`);
      await refresh();
    }));
}

function shareRow(share, path, refresh) {
  const name = share.user ?? share.team ?? "An account that is gone";
  return element("li", { class: "row" },
    element("div", { class: "row-main" },
      element("strong", {}, share.team ? `Team ${name}` : name),
      element("span", { class: "hint" }, share.access === "write" ? "may read and write" : "may read")),
    button("Stop sharing", { class: "link danger-link", "aria-label": `Stop sharing with ${name}`,
      onclick: async () => {
        const isSure = await confirmed({
          title: "Stop sharing?", text: `${name} can then no longer search, open or cite what is in it.`,
          action: "Stop sharing", work: () => write("DELETE", `${path}/shares/${share.granteeID}`),
        });
        if (isSure) await refresh();
      } }));
}

function options(id, chosen, choices) {
  return element("select", { id, "aria-label": id.replace("share-", "") }, choices.map(([value, text]) =>
    element("option", { value, selected: value === chosen }, text)));
}

// Settings

const fields = [
  ["passagesMax", "Passages a search gives at most", { min: "1", max: "1000", step: "1" }],
  ["vectorShare", "Weight of meaning: 0 for words alone, 1 for meaning alone",
    { min: "0", max: "1", step: "any" }],
  ["similarityMin", "Least likeness of what no word finds", { min: "-1", max: "1", step: "any" }],
  ["passageTokensMax", "Longest passage of new documents, in tokens", { min: "32", max: "4096", step: "1" }],
  ["documentsMax", "Documents at most", { min: "1", step: "1" }],
  ["bytesMax", "Bytes of files at most", { min: "1", step: "1" }],
];

function settings({ collection, path }, refresh) {
  const name = element("input", { id: "collection-name", required: true, maxlength: "100",
    value: collection.name });
  const inputs = fields.map(([key, label, limits]) => [key, label, element("input", {
    type: "number", id: `setting-${key}`, placeholder: "as the server has it", ...limits,
    value: collection.settings[key] ?? null })]);
  return element("details", {}, element("summary", {}, "Name and settings"),
    form("Settings", [
      element("label", { for: "collection-name" }, "Name"), name,
      inputs.map(([, label, input]) => [element("label", { for: input.id }, label), input]),
    ], "Save", async () => {
      const changed = inputs.filter(([, , input]) => input.value !== "")
        .map(([key, , input]) => [key, Number(input.value)]);
      const change = { settings: Object.fromEntries(changed) };
      if (name.value.trim() !== collection.name) change.name = name.value.trim();
      await write("PATCH", path, change);
      announce("Saved");
      await refresh();
    }));
}

// Documents

function documentRows(page, refresh) {
  const { documents } = page;
  const tags = [...new Set(documents.flatMap((document) => document.tags))].sort();
  const list = element("div", {});
  // The choice outlives a change of the documents.
  const draw = () => {
    const chosen = [...page.tags].filter((tag) => tags.includes(tag));
    list.replaceChildren(
      tags.length ? element("ul", { class: "tabs", "aria-label": "Filter by tag" }, tags.map((tag) =>
        element("li", {}, button(tag, { class: "tab", "aria-pressed": String(chosen.includes(tag)),
          onclick: () => {
            if (!page.tags.delete(tag)) page.tags.add(tag);
            draw();
            [...list.querySelectorAll(".tab")].find((tab) => tab.textContent === tag)?.focus();
          } })))) : "",
      rows(page, documents.filter((document) => chosen.every((tag) => document.tags.includes(tag))),
        refresh));
  };
  draw();
  return list;
}

function rows({ collection, collections }, documents, refresh) {
  if (!documents.length) return element("p", { class: "empty" }, "This collection is empty.");
  const targets = collections.filter(({ id, access }) => id !== collection.id && access !== "read");
  return element("ul", { class: "rows" }, documents.map((document) => element("li", { class: "row" },
    icon("file"),
    element("div", { class: "row-main" }, element("strong", {}, document.name),
      element("span", { class: "hint" },
        [count(document.passageCount, "passage"), bytes(document.byteCount)].join(" · ")),
      collection.access === "read" ? tagList(document.tags) : tagEditor(document, refresh)),
    collection.access === "read" || document.collectionID !== collection.id || !targets.length
      ? "" : mover(document, targets, refresh))));
}

const tagList = (tags) => tags.length ? element("span", { class: "hint" }, tags.join(" · ")) : "";

function tagEditor(document, refresh) {
  const name = element("input", { required: true, maxlength: "64", placeholder: "Add a tag",
    "aria-label": `New tag of ${document.name}` });
  const problem = element("span", { class: "problem", role: "alert" });
  const set = async (tags, sentence) => {
    try {
      problem.textContent = "";
      await write("PATCH", `/api/documents/${document.id}`, { tags });
      announce(sentence);
      await refresh(document.id);
    } catch (error) {
      problem.textContent = error.message;
    }
  };
  return element("div", { class: "tags", "data-document": document.id },
    document.tags.length ? element("ul", { class: "chips", "aria-label": `Tags of ${document.name}` },
      document.tags.map((tag) => element("li", { class: "chip" }, tag,
        iconButton("close", `Take the tag ${tag} off ${document.name}`, {
          onclick: () => set(document.tags.filter((each) => each !== tag), `Tag ${tag} taken off`) })))) : "",
    element("form", { class: "inline-form", onsubmit: (event) => {
      event.preventDefault();
      const tag = name.value.trim();
      if (tag) set([...new Set([...document.tags, tag])], `Tag ${tag} added`);
    } }, name, iconButton("plus", `Add the tag to ${document.name}`, { type: "submit" })), problem);
}

function mover(document, targets, refresh) {
  const select = element("select", { "aria-label": `Move ${document.name}`, onchange: async () => {
    try {
      await write("PATCH", `/api/documents/${document.id}`, { collectionID: select.value });
      announce(`${document.name} moved`);
      await refresh();
    } catch (error) {
      select.value = "";
      select.after(element("span", { class: "problem", role: "alert" }, error.message));
    }
  } }, element("option", { value: "" }, "Move to…"),
  targets.map(({ id, name }) => element("option", { value: id }, name)));
  return select;
}

function danger({ collection }) {
  return element("p", {}, button("Delete collection", { class: "link danger-link", onclick: async () => {
    const isSure = await confirmed({
      title: "Delete this collection?",
      text: `“${collection.name}” and ${count(collection.documentCount, "document")} in it will be gone for good.`,
      action: "Delete", work: () => removeCollection(collection.id),
    });
    if (isSure) location.hash = "#/documents";
  } }));
}
