// Adding pages of the web: one by its address, or a whole site by its site map.

import { cancelJob, jobEvents, request } from "./api.js";
import { announce, button, element } from "./dom.js";
import { count } from "./format.js";
import { providePage } from "./lazy.js";
import { follow } from "./sse.js";

providePage("web", showWeb);

/** Fills `body`; pages go into `collection()`, and `onChange` runs when documents have come. */
function showWeb(body, { signal, collection, onChange }) {
  const address = element("input", { id: "web-address", type: "url", required: true,
    maxlength: "2000", placeholder: "https://example.com/handbook", autocapitalize: "none",
    spellcheck: "false", "aria-describedby": "web-hint" });
  const isSite = checkbox("web-site", "The whole site, by its site map");
  const hosts = checkbox("web-hosts", "Also pages that the site map names on other hosts");
  const prune = checkbox("web-prune", "Remove documents whose page the site map names no longer");
  const more = element("div", { class: "web-more", hidden: true }, hosts.node, prune.node);
  isSite.input.addEventListener("change", () => { more.hidden = !isSite.input.checked; });
  const problem = element("p", { class: "problem", role: "alert" });
  const jobs = element("ul", { class: "uploads", "aria-label": "Pages of the web" });
  const add = button("Add", { class: "button", type: "submit" });
  body.replaceChildren(
    element("form", { class: "line-form", "aria-label": "Add from the web", onsubmit: async (event) => {
      event.preventDefault();
      problem.textContent = "";
      add.disabled = true;
      try {
        const place = address.value.trim();
        const jobID = await begin(place, collection()?.id, isSite.input.checked
          ? { otherHosts: hosts.input.checked, removeVanished: prune.input.checked } : null);
        address.value = "";
        jobs.append(jobRow(place, jobID, signal, onChange));
      } catch (error) {
        problem.textContent = error.message;
        address.focus();
      } finally {
        add.disabled = false;
      }
    } },
    element("label", { for: "web-address" }, "Address of a page, a file or a site"),
    element("div", { class: "line" }, address, add),
    isSite.node, more, problem,
    element("p", { class: "hint", id: "web-hint" },
      "The server fetches it. Of a site it reads what robots.txt lets it, and each time it is added"
      + " again only what is new or has changed.")),
    jobs);
  address.focus();
  return {};
}

function checkbox(id, label) {
  const input = element("input", { type: "checkbox", id });
  return { input, node: element("label", { class: "check", for: id }, input, element("span", {}, label)) };
}

async function begin(url, collectionID, site) {
  const path = site ? "/api/documents/from-sitemap" : "/api/documents/from-url";
  const answer = await (await request("POST", path, { body: { url, collectionID, ...site } })).json();
  return site ? answer.jobID : answer.ingestions[0].jobID;
}

const ends = { completed: "ready", failed: "failed", cancelled: "failed" };

/** A job on its way: how far it is, and how it ended. */
function jobRow(place, jobID, signal, onChange) {
  const bar = element("progress", { "aria-label": `Progress of ${place}` });
  const state = element("span", { class: "upload-state" }, "Waiting to be read");
  const stop = button("Stop", { class: "button small", "aria-label": `Stop adding ${place}`,
    onclick: () => cancelJob(jobID).catch((error) => { state.textContent = error.message; }) });
  const node = element("li", { class: "upload" },
    element("span", { class: "upload-name", title: place }, place), stop, bar, state);
  const end = (name, message) => {
    node.classList.add(ends[name] ?? "failed");
    bar.remove();
    state.textContent = message;
    announce(`${place}: ${message}`);
    stop.replaceWith(button("Dismiss", { class: "button small", "aria-label": `Dismiss ${place}`,
      onclick: () => node.remove() }));
    onChange();
  };
  let done = 0;
  follow(jobEvents(jobID), { signal, onEvent: (name, job) => {
    if (name !== "job") return false;
    if (job.state in ends) {
      end(job.state, job.state === "cancelled" ? "Stopped. What was read stays." : job.message);
      return true;
    }
    if (job.total) {
      bar.max = job.total;
      bar.value = job.done;
    }
    const part = job.total > 1 ? `${job.done} of ${count(job.total, "page")}. ` : "";
    state.textContent = part + (job.message || "Reading");
    // Each page that is there can be asked about at once.
    if (job.done > done) onChange();
    done = job.done;
    return false;
  } }).catch((error) => { if (!signal.aborted) end("failed", error.message); });
  return node;
}
