// Teams, for administrators: what collections are shared with together.

import { request } from "./api.js";
import { confirmed } from "./dialog.js";
import { announce, button, element, failureMessage, iconButton } from "./dom.js";
import { count } from "./format.js";
import { providePage } from "./lazy.js";

providePage("teams", showTeams);

const id = encodeURIComponent;
const read = async (path, name, signal) => (await (await request("GET", path, { signal })).json())[name];

async function showTeams(main, { signal }) {
  const body = element("div", { class: "gateway" });
  main.replaceChildren(element("div", { class: "page" },
    element("h1", {}, "Teams"),
    element("p", { class: "lead" }, "A collection can be shared with a team: all who are in it may then"
      + " search it, from their next question on, and those who leave it no longer."),
    body));
  const refresh = async (focus) => {
    try {
      const [teams, users] = await Promise.all([
        read("/api/teams", "teams", signal), read("/api/admin/users", "users", signal)]);
      if (signal.aborted) return;
      body.replaceChildren(
        newTeam(refresh),
        ...teams.map((team) => teamCard(team, users, refresh)),
        teams.length ? "" : element("p", { class: "empty" }, "No teams yet."));
      if (focus) body.querySelector(focus)?.focus();
    } catch (error) {
      if (!signal.aborted) body.replaceChildren(failureMessage(error, () => refresh()));
    }
  };
  await refresh();
  return { title: "Teams" };
}

/** A form whose `send` may be refused with a sentence. */
function form(label, line, send) {
  const problem = element("p", { class: "problem", role: "alert" });
  return element("form", { class: "line-form", "aria-label": label, onsubmit: async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      await send();
    } catch (error) {
      problem.textContent = error.message;
    }
  } }, line, problem);
}

function newTeam(refresh) {
  const name = element("input", { id: "team-name", required: true, maxlength: "64",
    placeholder: "For example: Crew" });
  return form("New team", [
    element("label", { for: "team-name" }, "Name of the new team"),
    element("div", { class: "line" }, name,
      button("Create team", { class: "button primary", type: "submit" })),
  ], async () => {
    const team = await (await request("POST", "/api/admin/teams",
      { body: { name: name.value.trim() } })).json();
    announce(`There is a team ${team.name} now`);
    await refresh(`#member-${team.id}`);
  });
}

function teamCard(team, users, refresh) {
  const path = `/api/admin/teams/${id(team.name)}`;
  const others = users.filter(({ name }) => !team.members.includes(name));
  return element("section", { class: "card", "aria-label": `Team ${team.name}` },
    element("div", { class: "card-head" },
      element("h2", {}, team.name), element("span", { class: "hint" }, count(team.members.length, "member")),
      button("Delete", { class: "link danger-link card-load", "aria-label": `Delete the team ${team.name}`,
        onclick: () => removeTeam(team, path, refresh) })),
    team.members.length
      ? element("ul", { class: "chips", "aria-label": `Members of ${team.name}` },
        team.members.map((name) => memberChip(team, name, path, refresh)))
      : element("p", { class: "empty" }, "Nobody is in it yet."),
    others.length ? addMember(team, others, path, refresh)
      : element("p", { class: "hint" }, "All accounts are in it."));
}

function memberChip(team, name, path, refresh) {
  return element("li", { class: "chip" }, name,
    iconButton("close", `Take ${name} out of ${team.name}`, { onclick: async (event) => {
      try {
        await request("DELETE", `${path}/members/${id(name)}`);
        announce(`${name} is no longer in ${team.name}`);
        await refresh(`#member-${team.id}`);
      } catch (error) {
        event.target.closest("ul").after(failureMessage(error));
      }
    } }));
}

function addMember(team, others, path, refresh) {
  const select = element("select", { id: `member-${team.id}`, "aria-label": `Add to ${team.name}` },
    others.map(({ name, role }) => element("option", { value: name },
      role === "member" ? name : `${name} (${role})`)));
  return form(`Add to ${team.name}`, element("div", { class: "line" }, select,
    button("Add", { class: "button", type: "submit" })), async () => {
    await request("PUT", `${path}/members/${id(select.value)}`);
    announce(`${select.value} is in ${team.name} now`);
    await refresh(`#member-${team.id}`);
  });
}

async function removeTeam(team, path, refresh) {
  const isSure = await confirmed({
    title: "Delete this team?",
    text: `What was shared with “${team.name}” is then no longer shared with its members.`,
    action: "Delete", work: () => request("DELETE", path),
  });
  if (isSure) await refresh("#team-name");
}
