// The JSON API of `oda serve`.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function query(parameters) {
  const made = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") made.append(key, value);
  }
  return made.toString();
}

export function get(path, parameters = {}, signal = undefined) {
  const asked = query(parameters);
  return answer(`/api/${path}${asked ? `?${asked}` : ""}`, { signal });
}

export function post(path, body) {
  return answer(`/api/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

async function answer(url, options) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "oda serve does not answer.");
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  if (response.status === 401) dispatchEvent(new CustomEvent("login"));
  throw new Refused(response.status, body.error ?? `oda serve answers ${response.status}.`);
}
