// Uploads: the bytes on their way, then the indexing job, then ready or the reason why not.

import { ApiError, cancelJob, jobEvents, problemError, session, unreachable } from "./api.js";
import { announce, button, element, iconButton } from "./dom.js";
import { bytes, count } from "./format.js";
import { follow } from "./sse.js";

const readyShownMilliseconds = 6000;

export class UploadList {
  #queue = Promise.resolve();
  // A browser opens six connections to a server at most: one of them may follow jobs.
  #following = Promise.resolve();

  /** `collectionID` says where new files go, null for the default; `onReady` runs after each. */
  constructor({ collectionID = () => null, onAccepted = () => {}, onReady = () => {} } = {}) {
    this.collectionID = collectionID;
    this.onAccepted = onAccepted;
    this.onReady = onReady;
    this.node = element("ul", { class: "uploads", "aria-label": "Uploads" });
  }

  /** Sends files one after the other; each is indexed while the next is on its way. */
  add(files) {
    for (const file of files) {
      const row = new UploadRow(file, this.collectionID());
      this.node.append(row.node);
      this.#queue = this.#queue.then(() => this.#send(row));
    }
  }

  /** Takes away what was refused; the reader has gone on. */
  clearFailed() {
    for (const row of this.node.querySelectorAll(".failed")) row.remove();
  }

  async #send(row) {
    try {
      const jobID = await row.send();
      this.onAccepted();
      row.wait(jobID);
      this.#following = this.#following.then(() => this.#follow(row, jobID));
    } catch (error) {
      row.fail(error, () => { this.#queue = this.#queue.then(() => this.#send(row)); });
    }
  }

  async #follow(row, jobID) {
    try {
      await row.index(jobID);
      this.onReady();
    } catch (error) {
      row.fail(error);
      this.onAccepted();
    }
  }
}

class UploadRow {
  #bar = element("progress", { max: "1", value: "0" });
  #state = element("span", { class: "upload-state" }, "Waiting");
  #close = iconButton("close", "Cancel", { onclick: () => this.#cancel() });
  #cancel = () => this.#leave("Cancelled before it was sent.");
  #isCancelled = false;

  constructor(file, collectionID) {
    this.file = file;
    this.collectionID = collectionID;
    this.#bar.setAttribute("aria-label", `Progress of ${file.name}`);
    this.node = element("li", { class: "upload" },
      element("span", { class: "upload-name" }, file.name),
      element("span", { class: "hint" }, bytes(file.size)),
      this.#close, this.#bar, this.#state);
  }

  /** Sends the file; the id of the job that indexes it. */
  async send() {
    if (this.#isCancelled) throw new ApiError("Cancelled.", { code: "cancelled" });
    this.node.classList.remove("failed");
    this.#bar.hidden = false;
    if (this.file.size === 0) {
      throw new ApiError(`“${this.file.name}” is empty. Choose a file with text in it.`,
        { code: "invalid" });
    }
    const answer = await sendForm("/api/documents", this.#form(), {
      onProgress: (part) => this.#show(part, `Sending, ${Math.floor(part * 100)} %`),
      onAbort: (abort) => { this.#cancel = abort; },
    });
    return answer.ingestions[0].jobID;
  }

  // The collection goes first: the server reads the parts in order.
  #form() {
    const form = new FormData();
    if (this.collectionID) form.append("collectionID", this.collectionID);
    form.append("file", this.file);
    return form;
  }

  /** It has been sent, and its job has been accepted. */
  wait(jobID) {
    this.#cancel = () => cancelJob(jobID).catch((error) => this.#show(null, error.message));
    this.#show(null, "Waiting to be read");
  }

  /** Follows the indexing job. Throws the sentence of a job that failed. */
  async index(jobID) {
    const job = await lastOf(jobID, (now) => this.#showJob(now));
    if (job.state !== "completed") {
      throw new ApiError(job.message || "The indexing was stopped.", { code: job.state });
    }
    this.#show(1, "Ready to be asked about");
    announce(`${this.file.name} is ready.`);
    this.node.classList.add("ready");
    this.#cancel = () => this.node.remove();
    this.#close.setAttribute("aria-label", "Dismiss");
    setTimeout(() => this.node.remove(), readyShownMilliseconds);
  }

  #showJob({ done, total, message }) {
    const steps = total > 0 ? `${done.toLocaleString("en-US")} of ${total.toLocaleString("en-US")}` : "";
    this.#show(total > 0 ? done / total : null, [message || "Reading", steps].filter(Boolean).join(", "));
  }

  // Without a number the bar says only that something is going on.
  #show(part, text) {
    if (part === null) this.#bar.removeAttribute("value");
    else this.#bar.value = part;
    this.#state.textContent = text;
  }

  fail(error, retry) {
    if (this.#isCancelled) return;
    this.node.classList.add("failed");
    this.#bar.hidden = true;
    this.#state.replaceChildren(error.message);
    announce(`${this.file.name}: ${error.message}`);
    this.#cancel = () => this.#leave();
    this.#close.setAttribute("aria-label", "Dismiss");
    // The same file would be refused again for what it is, not for what happened on the way.
    const isWorthRetrying = retry && (!error.status || error.status >= 500 || error.status === 429)
      && error.code !== "invalid";
    if (isWorthRetrying) this.#state.append(" ", button("Try again", { class: "link", onclick: retry }));
  }

  #leave() {
    this.#isCancelled = true;
    this.node.remove();
  }
}

async function lastOf(jobID, onChange) {
  let last = null;
  await follow(jobEvents(jobID), {
    signal: new AbortController().signal,
    onEvent: (name, job) => {
      if (name !== "job") return false;
      last = job;
      onChange(job);
      return ["completed", "failed", "cancelled"].includes(job.state);
    },
  });
  return last;
}

// `fetch` cannot say how much it has sent.
function sendForm(path, form, { onProgress, onAbort }) {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open("POST", path);
    call.responseType = "json";
    call.setRequestHeader("Accept", "application/json");
    call.setRequestHeader("X-CSRF-Token", session.csrfToken);
    call.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded / (total || 1)));
    call.addEventListener("load", () => {
      if (call.status === 202) resolve(call.response);
      else reject(problemError(call.status, call.response ?? {}, call.getResponseHeader("Retry-After")));
    });
    call.addEventListener("error", () => reject(new ApiError(
      `${unreachable} A server also hangs up on files that are larger than it takes.`)));
    call.addEventListener("abort", () => reject(new ApiError("Cancelled while it was sent.")));
    onAbort(() => call.abort());
    call.send(form);
  });
}

/** Gives files dropped on `node` to `onFiles`, and shows that it takes them. */
export function acceptDrops(node, onFiles) {
  const isFiles = (event) => [...event.dataTransfer.types].includes("Files");
  let depth = 0;
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    node.classList.toggle("dropping", depth > 0);
  };
  node.addEventListener("dragenter", (event) => { if (isFiles(event)) mark(1); });
  node.addEventListener("dragleave", (event) => { if (isFiles(event)) mark(-1); });
  node.addEventListener("dragover", (event) => { if (isFiles(event)) event.preventDefault(); });
  node.addEventListener("drop", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    mark(-depth);
    onFiles([...event.dataTransfer.files]);
  });
}

/** A document's state in words. */
export function documentState({ state, failure, passageCount }) {
  if (state === "ready") return count(passageCount, "passage");
  return state === "failed" ? failure ?? "It could not be read." : "Being read…";
}
