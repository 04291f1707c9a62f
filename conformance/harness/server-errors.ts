/** An answer of the server that says that it failed itself. 501 is not one: it is how a route says that it is not served. */
export interface ServerError {
  method: string;
  path: string;
  status: number;
  body: string;
}

const BODY_CHARS = 500;

/** Watches every `fetch` of this process (the SDKs use it) for answers 5xx of the server. Call once. */
export function watchServerErrors(baseUrl: string): { take(): ServerError[] } {
  const origin = new URL(baseUrl).origin;
  const seen: ServerError[] = [];
  const original = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const response = await original(input, init);
    if (response.status >= 500 && response.status !== 501 && response.url.startsWith(origin)) {
      const method = init?.method ?? (input instanceof Request ? input.method : 'GET');
      const entry: ServerError = { method, path: response.url.slice(origin.length), status: response.status, body: '' };
      seen.push(entry);
      // Not a 5xx stream of any length: the answers in question are small JSON documents.
      entry.body = (await response.clone().text()).slice(0, BODY_CHARS);
    }
    return response;
  };
  return { take: () => seen.splice(0) };
}
