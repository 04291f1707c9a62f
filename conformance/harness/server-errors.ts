/** An answer of a server that says that it failed itself. 501 is not one: it is how a route says that it is not served. */
export interface ServerError {
  method: string;
  path: string;
  status: number;
  body: string;
}

const BODY_CHARS = 500;
const LOG_CHARS = 200_000;
/** What the Worker logs of an error that nobody foresaw (src/app.ts): it says so whoever asked, an app in another process too. */
const UNHANDLED = /^unhandled: (\S+) (\S+) (.*)$/gm;

const origins = new Set<string>();
const seen: ServerError[] = [];
let log = '';
let isPatched = false;

/** Watches a server: every `fetch` of this process (the SDKs use it) for its answers 5xx. */
export function watchServer(baseUrl: string): void {
  origins.add(new URL(baseUrl).origin);
  if (isPatched) return;
  isPatched = true;
  const original = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const response = await original(input, init);
    if (response.status < 500 || response.status === 501 || response.url === '') return response;
    const { origin } = new URL(response.url);
    if (!origins.has(origin)) return response;
    const method = init?.method ?? (input instanceof Request ? input.method : 'GET');
    const entry: ServerError = { method, path: response.url.slice(origin.length), status: response.status, body: '' };
    seen.push(entry);
    // Not a 5xx stream of any length: the answers in question are small JSON documents.
    entry.body = (await response.clone().text()).slice(0, BODY_CHARS);
    return response;
  };
}

/** The server has ended; its port may be another's soon. */
export function forgetServer(baseUrl: string): void {
  origins.delete(new URL(baseUrl).origin);
}

/** What a watched server has logged. */
export function noteServerLog(text: string): void {
  log = (log + text).slice(-LOG_CHARS);
}

export function takeServerLog(): string {
  const taken = log;
  log = '';
  return taken;
}

/** Answers 5xx since the last call, and what `serverLog` says of failures that others than this process were answered with. */
export function takeServerErrors(serverLog: string): ServerError[] {
  const answers = seen.splice(0);
  for (const [, method, path, body] of serverLog.matchAll(UNHANDLED)) {
    // The log names the route, as `/e/:key`.
    const route = new RegExp(
      `^${(path as string).replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&').replaceAll(/:\w+(\{[^}]*\})?/g, '.+')}($|\\?)`,
    );
    const isSeen = answers.some((answer) => answer.method === method && route.test(answer.path));
    if (!isSeen) answers.push({ method: method as string, path: path as string, status: 500, body: body as string });
  }
  return answers;
}
