// Server-sent events over `fetch`, which unlike `EventSource` can be aborted, carries headers, and
// shows the status of a refusal.

import { ApiError, problemError, request, unreachable } from "./api.js";

const attemptsMax = 8;
const nothingMore = "This has ended in the meantime. Reload the page to see how.";
const lineCharactersMax = 16_000_000;
const firstDelayMilliseconds = 400;
const delayMillisecondsMax = 10_000;
// The server sends a comment line every few seconds; this long without one means a dead connection.
const silenceMillisecondsMax = 60_000;

/** Turns pieces of an event stream into events. Pieces may end anywhere, also inside a line. */
export class EventParser {
  #rest = "";
  #event = { id: "", event: "message", data: [] };

  /** The events that `text` completes, each `{id, event, data}`. */
  push(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    if (this.#rest.length > lineCharactersMax) throw new Error("A line of the stream has no end.");
    return lines.map((line) => this.#take(line.replace(/\r$/, ""))).filter(Boolean);
  }

  #take(line) {
    if (line === "") return this.#dispatch();
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === "data") this.#event.data.push(value);
    else if (field === "event") this.#event.event = value;
    else if (field === "id") this.#event.id = value;
    return null;
  }

  #dispatch() {
    const { id, event, data } = this.#event;
    this.#event = { id, event: "message", data: [] };
    return data.length ? { id, event, data: data.join("\n") } : null;
  }
}

/**
 * Gives every event of a stream to `onEvent`, whose answer `true` means that it was the last.
 * A broken connection is opened again after the last event seen. Throws `ApiError` where the server
 * refuses or stays away too long; returns when the stream is complete or `signal` aborts.
 */
export async function follow(path, { signal, onEvent, onConnection = () => {} }) {
  let last = "";
  for (let attempt = 0; !signal.aborted;) {
    try {
      const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
      for await (const event of openStream(path, headers, signal)) {
        // An event that cannot be used is not asked for again.
        last = event.id || last;
        onConnection(true);
        const data = JSON.parse(event.data);
        if (event.event === "error") throw problemError(data.status, data);
        if (onEvent(event.event, data)) return;
        attempt = 0;
      }
    } catch (error) {
      if (signal.aborted) return;
      const isWorthRetrying = !error.status || error.status >= 500 || error.status === 429;
      if (!isWorthRetrying || attempt >= attemptsMax) throw error;
    }
    if (attempt >= attemptsMax) throw new ApiError(unreachable);
    onConnection(false);
    await pause(delay(attempt), signal);
    attempt += 1;
  }
}

async function* openStream(path, headers, signal) {
  const watch = new AbortController();
  const abort = () => watch.abort();
  signal.addEventListener("abort", abort);
  let timer = setTimeout(abort, silenceMillisecondsMax);
  try {
    const response = await request("GET", path, { headers, signal: watch.signal });
    if (response.status === 204) throw new ApiError(nothingMore, { status: response.status });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(abort, silenceMillisecondsMax);
      yield* parser.push(value);
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
    watch.abort();
  }
}

function delay(attempt) {
  const limit = Math.min(delayMillisecondsMax, firstDelayMilliseconds * 2 ** attempt);
  return limit / 2 + Math.random() * limit / 2;
}

/** Waits; returns early when `signal` aborts or the browser is online again. */
export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      removeEventListener("online", finish);
      resolve();
    };
    const timer = setTimeout(finish, milliseconds);
    signal?.addEventListener("abort", finish);
    addEventListener("online", finish);
  });
}
