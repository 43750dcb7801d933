// Log in, decode the token, verify its signature with the published keys (RFC 7515, RFC 7517).

const ALGORITHMS = {
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  EdDSA: { name: "Ed25519" },
};

const element = (id) => document.getElementById(id);
const session = { refreshToken: null, expires: null, checks: 0 };

// Talking to the server

async function send(method, path, { body, token } = {}) {
  const headers = { Accept: "application/json" };
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  return { ok: response.ok, status: response.status, body: parsed(await response.text()) };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // nothing, or a page of a server in front of the app
  }
}

const publishedKeys = async () => (await send("GET", "/.well-known/jwks.json")).body?.keys ?? [];

// Reading and verifying a token

function bytesOf(segment) {
  const text = atob(segment.replaceAll("-", "+").replaceAll("_", "/"));
  const again = btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  if (again !== segment) throw new Error("not base64url");
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function read(segment) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytesOf(segment)));
  } catch {
    return null;
  }
}

function decode(token) {
  const segments = token.split(".");
  return { segments, header: read(segments[0] ?? ""), claims: read(segments[1] ?? "") };
}

async function verify({ segments, header, claims }) {
  if (segments.length !== 3) throw new Error("a token has three parts");
  if (!header || !claims) throw new Error("it cannot be read");
  if (!globalThis.crypto?.subtle) throw new Error("browsers verify on https pages only");
  const jwk = (await publishedKeys()).find((key) => key.kid === header.kid);
  if (!jwk) throw new Error("no published key has this key id");
  if (jwk.alg !== header.alg || !ALGORITHMS[jwk.alg]) throw new Error("not the key's algorithm");
  const algorithm = ALGORITHMS[jwk.alg];
  const key = await crypto.subtle.importKey("jwk", jwk, algorithm, false, ["verify"]);
  const signed = new TextEncoder().encode(segments.slice(0, 2).join("."));
  const fits = await crypto.subtle.verify(algorithm, key, bytesOf(segments[2]), signed);
  if (!fits) throw new Error("it does not fit what the token says");
}

// Showing it

function show(id, text, kind = "") {
  element(id).textContent = text;
  element(id).classList.toggle("good", kind === "good");
  element(id).classList.toggle("bad", kind === "bad");
}

async function showToken() {
  const check = ++session.checks;
  const decoded = decode(element("token").value.trim());
  let verdict = ["valid", "good"];
  try {
    await verify(decoded);
  } catch (error) {
    verdict = [`invalid: ${error.message}`, "bad"];
  }
  if (check !== session.checks) return; // a newer one is under way
  show("signature", ...verdict);
  for (const part of ["header", "claims"]) {
    element(part).textContent = decoded[part] ? JSON.stringify(decoded[part], null, 2) : "unreadable";
  }
  session.expires = decoded.claims?.exp ?? null;
  showLife();
}

function showLife() {
  if (element("session").hidden) return;
  const left = Math.ceil(session.expires - Date.now() / 1000);
  if (session.expires === null) show("life", "unknown");
  else if (left <= 0) show("life", "expired: refresh, or log in again", "bad");
  else show("life", `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} left`, "good");
}

function enter(tokens) {
  session.refreshToken = tokens.refresh_token ?? null;
  element("token").value = tokens.access_token;
  element("refresh").hidden = element("logout").hidden = session.refreshToken === null;
  element("login").hidden = true;
  element("session").hidden = false;
  return showToken();
}

function leave() {
  session.refreshToken = null;
  element("token").value = element("answer").textContent = "";
  element("answer-block").hidden = element("session").hidden = true;
  element("login").hidden = false;
  element("username").focus();
}

// What people do

async function logIn() {
  const { username, password } = Object.fromEntries(new FormData(element("login-form")));
  const { ok, status, body } = await send("POST", "/auth", { body: { username, password } });
  element("password").value = "";
  if (ok) {
    show("message", `Logged in as ${username}.`, "good");
    await enter(body);
    element("session").focus();
  } else {
    const why = status === 401 ? "Name or password is wrong." : `The server answered ${status}.`;
    show("message", why, "bad");
    element("password").focus();
  }
}

async function callProtected() {
  const { ok, status, body } = await send("GET", "/protected", { token: element("token").value.trim() });
  element("answer-block").hidden = false;
  show("answer", `${status}\n${JSON.stringify(body, null, 2)}`, ok ? "good" : "bad");
}

async function refresh() {
  const { ok, status, body } = await send("POST", "/auth/refresh", {
    body: { refresh_token: session.refreshToken },
  });
  if (ok) {
    show("message", "A new token; the old refresh token no longer counts.", "good");
    await enter(body);
  } else if (status === 401) {
    leave();
    show("message", "The session is over. Please log in again.", "bad");
  } else {
    show("message", `The server answered ${status}. You are still logged in: try again.`, "bad");
  }
}

async function logOut() {
  const { status } = await send("POST", "/auth/logout", {
    body: { refresh_token: session.refreshToken },
  });
  if (status === 204 || status === 401) {
    leave();
    show("message", "Logged out: the token is refused from now on.", "good");
  } else {
    show("message", `The server answered ${status}. You are still logged in: try again.`, "bad");
  }
}

function during(button, action) {
  return async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await action();
    } catch (error) {
      show("message", `The server cannot be reached (${error.message}).`, "bad");
    } finally {
      button.disabled = false;
    }
  };
}

const loginButton = element("login-form").querySelector("button");
element("login-form").addEventListener("submit", during(loginButton, logIn));
element("call").addEventListener("click", during(element("call"), callProtected));
element("refresh").addEventListener("click", during(element("refresh"), refresh));
element("logout").addEventListener("click", during(element("logout"), logOut));
element("token").addEventListener("input", showToken);
setInterval(showLife, 500);
