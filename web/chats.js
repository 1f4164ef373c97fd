// The drawer: new chat, the chats so far, the other pages, sign out.

import { listChats, logOut, removeChat, session } from "./api.js";
import { button, element, failureMessage, icon, iconButton } from "./dom.js";
import { confirmed } from "./dialog.js";
import { dayGroup } from "./format.js";

const pageSize = 40;
const drawer = document.getElementById("drawer");
const list = element("div", { class: "chat-list" });
let chats = [];
let isComplete = false;
let selectedPath = "";

const pages = [
  ["#/documents", "file", "Documents"],
  ["#/search", "search", "Search test"],
  ["#/traces", "trace", "Traces"],
  ["#/spend", "coin", "Spend"],
  ["#/keys", "key", "API keys"],
  ["#/gateway", "gateway", "Model gateway", "administrators"],
  ["#/teams", "people", "Teams", "administrators"],
];

export function buildDrawer() {
  drawer.replaceChildren(
    element("div", { class: "drawer-head" },
      element("a", { class: "brand", href: "#/" },
        element("img", { src: "/icon.svg", alt: "", width: "26", height: "26" }), "Heptad"),
      iconButton("close", "Close the menu", { class: "drawer-close", onclick: closeDrawer })),
    element("a", { class: "button new-chat", href: "#/" }, icon("plus"), "New chat"),
    list,
    element("div", { class: "drawer-foot" },
      pages.filter(([, , , role]) => !role || session.user.role !== "member").map(([href, name, label]) => element("a", { class: "page-link", href }, icon(name), label)),
      element("div", { class: "account" },
        element("span", { class: "account-name" }, session.user.name),
        element("span", { class: "tag" }, session.user.role),
        iconButton("exit", "Sign out", { onclick: signOut }))));
  select(selectedPath);
}

/** Marks the link of the page that is shown. */
export function select(path) {
  selectedPath = path;
  for (const link of drawer.querySelectorAll("a[href]")) {
    const isCurrent = link.getAttribute("href") === `#${path}`;
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

export async function refreshChats() {
  try {
    chats = await listChats(null, pageSize);
    isComplete = chats.length < pageSize;
    draw();
  } catch (error) {
    if (error.status !== 401) list.replaceChildren(failureMessage(error, refreshChats));
  }
}

async function showOlder() {
  try {
    const older = await listChats(chats.at(-1).updatedAt, pageSize);
    chats = chats.concat(older);
    isComplete = older.length < pageSize;
    draw();
  } catch (error) {
    list.lastChild.replaceWith(failureMessage(error, draw));
  }
}

function draw() {
  const groups = Map.groupBy
    ? Map.groupBy(chats, (chat) => dayGroup(chat.updatedAt)) : groupByDay(chats);
  list.replaceChildren(...[...groups].map(([day, members]) => element("section", {},
    element("h2", { class: "day" }, day),
    element("ul", {}, members.map(chatItem)))));
  if (!isComplete) list.append(button("Older chats", { class: "link older", onclick: showOlder }));
  select(selectedPath);
}

function groupByDay(items) {
  const groups = new Map();
  for (const chat of items) {
    const day = dayGroup(chat.updatedAt);
    groups.set(day, [...(groups.get(day) ?? []), chat]);
  }
  return groups;
}

function chatItem(chat) {
  const title = chat.title || "New chat";
  return element("li", {},
    element("a", { class: "chat-link", href: `#/chats/${chat.id}`, title }, title),
    iconButton("trash", `Delete the chat ${title}`, { class: "on-hover",
      onclick: () => remove(chat, title) }));
}

async function remove(chat, title) {
  const isSure = await confirmed({
    title: "Delete this chat?", text: `“${title}” and its answers will be gone for good.`,
    action: "Delete", work: () => removeChat(chat.id),
  });
  if (!isSure) return;
  if (selectedPath === `/chats/${chat.id}`) location.hash = "#/";
  await refreshChats();
}

async function signOut() {
  try {
    await logOut();
  } finally {
    location.hash = "#/login";
    location.reload();
  }
}

export function openDrawer() {
  document.body.classList.add("drawer-open");
  document.getElementById("main").inert = true;
  drawer.querySelector(".drawer-close").focus();
}

/** Closes the drawer where it covers the page; true when there was something to close. */
export function closeDrawer() {
  if (!document.body.classList.contains("drawer-open")) return false;
  document.body.classList.remove("drawer-open");
  document.getElementById("main").inert = false;
  document.querySelector("#bar button")?.focus();
  return true;
}
