// The HTTP API, one function for each route. Every refusal is an `ApiError` whose message is a
// sentence for the reader.

/** Who is signed in. `csrfToken` goes with every request that changes something. */
export const session = { user: null, csrfToken: "" };

export class ApiError extends Error {
  constructor(message, { status = 0, code = "", traceID = "" } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.traceID = traceID;
  }
}

let signedOutListener = () => {};

/** `listener` runs when the server no longer knows the session. */
export function onSignedOut(listener) { signedOutListener = listener; }

export const unreachable = "The server cannot be reached. Check that Heptad is running and that you"
  + " are online, then try again.";

export async function request(method, path, { body, signal, headers = {} } = {}) {
  const response = await send(method, path, { body, signal, headers });
  const isStale = response.status === 403 && method !== "GET" && await tokenHasChanged(signal);
  return accept(isStale ? await send(method, path, { body, signal, headers }) : response);
}

async function send(method, path, { body, signal, headers }) {
  const all = { Accept: "application/json", ...headers };
  if (method !== "GET") all["X-CSRF-Token"] = session.csrfToken;
  if (body !== undefined) all["Content-Type"] = "application/json";
  try {
    return await fetch(path, {
      method, headers: all, signal, credentials: "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(unreachable);
  }
}

// Signing in again in another tab changes the token under this one.
async function tokenHasChanged(signal) {
  const before = session.csrfToken;
  const response = await send("GET", "/api/session", { signal, headers: {} });
  if (response.ok) adopt(await response.json());
  return session.csrfToken !== before;
}

async function accept(response) {
  if (response.ok) return response;
  const error = await refusal(response);
  if (error.status === 401) signedOutListener(error);
  throw error;
}

async function refusal(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // A proxy's own error page: the status has to do.
  }
  return problemError(response.status, problem, response.headers.get("Retry-After"));
}

/** The error that a problem document stands for. */
export function problemError(status, problem, retryAfter) {
  const wait = retryAfter ? ` Try again in ${retryAfter} seconds.` : "";
  const detail = problem.detail ?? problem.title ?? `The server answered with status ${status}.`;
  const error = new ApiError(detail + wait, {
    status, code: problem.code ?? "", traceID: problem.traceID ?? "",
  });
  error.setupNeeded = problem.setupNeeded === true;
  return error;
}

const get = async (path, signal) => (await request("GET", path, { signal })).json();
const post = async (path, body, signal) => (await request("POST", path, { body, signal })).json();
const act = async (method, path) => { await request(method, path); };
const id = encodeURIComponent;

function adopt(answer) {
  session.user = answer.user;
  session.csrfToken = answer.csrfToken;
  return answer;
}

/** The session, or null where nobody is signed in; `setupNeeded` says whether anyone could be. */
export async function readSession() {
  const response = await send("GET", "/api/session", { headers: {} });
  if (response.ok) return { session: adopt(await response.json()), setupNeeded: false };
  const error = await refusal(response);
  if (error.status !== 401) throw error;
  return { session: null, setupNeeded: error.setupNeeded };
}

export async function isSetupValid(token) {
  const response = await send("GET", `/api/setup/${id(token)}`, { headers: {} });
  if (!response.ok && response.status !== 404) throw await refusal(response);
  return response.ok;
}

export async function setUp(token, name, password) {
  return adopt(await openSession("/api/setup", { token, name, password }));
}

export async function logIn(name, password) {
  return adopt(await openSession("/api/login", { name, password }));
}

// A wrong password is a 401 that must not count as a lost session.
async function openSession(path, body) {
  const response = await send("POST", path, { body, headers: {} });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

export async function logOut() {
  await act("POST", "/api/logout");
  session.user = null;
  session.csrfToken = "";
}

export const listModels = async (signal) => (await get("/api/models", signal)).models;

export const listChats = async (before, limit) =>
  (await get(`/api/chats?limit=${limit}${before ? `&before=${id(before)}` : ""}`)).chats;
export const createChat = (title, passagesMax, collectionIDs) =>
  post("/api/chats", { title, passagesMax, collectionIDs });
export const changeChat = (chatID, change) =>
  request("PATCH", `/api/chats/${id(chatID)}`, { body: change });
export const setPassages = (chatID, passagesMax) => changeChat(chatID, { passagesMax });
export const readChat = (chatID, signal) => get(`/api/chats/${id(chatID)}`, signal);
export const removeChat = (chatID) => act("DELETE", `/api/chats/${id(chatID)}`);

export const beginTurn = (chatID, question) => post(`/api/chats/${id(chatID)}/turns`, question);
export const cancelTurn = (turnID) => act("POST", `/api/turns/${id(turnID)}/cancel`);
export const turnEvents = (turnID) => `/api/turns/${id(turnID)}/events`;

export const listCollections = async (signal) => (await get("/api/collections", signal)).collections;
export const createCollection = (name) => post("/api/collections", { name });
export const removeCollection = (collectionID) =>
  act("DELETE", `/api/collections/${id(collectionID)}`);
export const listDocuments = async (collectionID, signal) =>
  (await get(`/api/collections/${id(collectionID)}/documents`, signal)).documents;
export const readDocument = (documentID, signal) => get(`/api/documents/${id(documentID)}`, signal);
export const removeDocument = (documentID) => act("DELETE", `/api/documents/${id(documentID)}`);

export const renewDocument = (documentID, vectorsOnly) =>
  post(`/api/documents/${id(documentID)}/renew`, { vectorsOnly });
export const explainSearch = (query, signal) => post("/api/search/explain", query, signal);

export const cancelJob = (jobID) => act("POST", `/api/jobs/${id(jobID)}/cancel`);
export const jobEvents = (jobID) => `/api/jobs/${id(jobID)}/events`;

export const listTraces = async (before, limit, signal) =>
  (await get(`/api/traces?limit=${limit}${before ? `&before=${id(before)}` : ""}`, signal)).traces;
export const readTrace = async (traceID, signal) =>
  (await get(`/api/traces/${id(traceID)}`, signal)).spans;

export const readSpend = (signal) => get("/api/spend", signal);

export const readGateway = (signal) => get("/api/admin/models", signal);
const providerKeys = (provider) => `/api/admin/providers/${id(provider)}/keys`;
export const addProviderKey = (provider, key) => post(providerKeys(provider), { key });
export const replaceProviderKey = async (provider, keyID, key) =>
  (await request("PUT", `${providerKeys(provider)}/${id(keyID)}`, { body: { key } })).json();
export const removeProviderKey = (provider, keyID) =>
  act("DELETE", `${providerKeys(provider)}/${id(keyID)}`);

export const listKeys = async (signal) => (await get("/api/keys", signal)).keys;
export const createKey = (name) => post("/api/keys", { name });
export const revokeKey = (keyID) => act("DELETE", `/api/keys/${id(keyID)}`);
